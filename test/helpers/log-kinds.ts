// Every kind of log that can be shipped, so small that it rotates, compresses and removes many times a second.
import { join } from 'node:path'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { DirectFile } from '../../src/core/direct-file/direct-file.ts'
import { EventFiles } from '../../src/core/event-files/event-files.ts'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { Spool } from '../../src/core/spool/spool.ts'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'

const fallback = false

export interface KindOfLog {
  readonly source: string
  write(text: string): unknown
  flush(): Promise<unknown>
  /** Files that have ended. */
  rotations(): number
  close(): Promise<unknown>
}

export const kindsOfLogs: Record<string, (folder: string) => Promise<KindOfLog> | KindOfLog> = {
  'rotating-file': (folder) => {
    const path = join(folder, 'app.log')
    const file = new RotatingFile({ path, maxBytes: 1500, maxBackups: 2, compress: 'gzip', fallback })
    return { source: path, write: (text) => file.writeLine(text), ...common(file) }
  },
  'binary-file': (folder) => {
    const path = join(folder, 'app.bin')
    const file = new BinaryFile({ path, maxBytes: 1500, maxBackups: 2, compress: 'brotli', fallback })
    return { source: path, write: (text) => file.write(Buffer.from(text)), ...common(file) }
  },
  'direct-file': (folder) => {
    const path = join(folder, 'direct.log')
    const bounds = { maxBytes: '128k', maxBackups: 2, compress: 'gzip' } as const
    const file = new DirectFile({ path, bufferSize: '64k', numShards: 1, fallback, ...bounds })
    let written = 0
    return {
      source: path,
      write: (text) => file.log(text),
      ...common(file),
      // Frames are padded to blocks, so the limit is reached soon enough.
      flush: async () => {
        await file.flush()
        if (++written % 3 === 0) await file.rotate()
      }
    }
  },
  'event-files over rotating-file': (folder) => {
    const dir = join(folder, 'events')
    const bounds = { maxBytes: 1500, maxBackups: 2, compress: 'gzip' } as const
    const files = new EventFiles({ dir, output: 'rotating-file', fallback, ...bounds })
    const write = (text: string) => {
      files.log('other', text)
      files.log('orders', text)
    }
    return {
      source: join(dir, 'orders.log'),
      write,
      ...common(files),
      rotations: () => files.stats('orders').rotations
    }
  },
  wal: async (folder) => {
    const walDir = join(folder, 'wal')
    const log = await WriteAheadLog.open({ walDir, segmentBytes: 4096, fallback })
    // Without the shipper it would be the only one that counts.
    const other = await log.consumer('other')
    return {
      source: walDir,
      write: (text) => log.log([text]),
      ...common(log),
      async flush() {
        await log.flush()
        const entries = await other.take()
        if (entries.length > 0) await other.ack(entries[entries.length - 1].index)
      }
    }
  },
  spool: (folder) => {
    const dir = join(folder, 'spool')
    const spool = new Spool({ dir, maxBytes: '1k', workers: 1, fallback })
    return { source: dir, write: (text) => spool.write(`${text}\n`), ...common(spool) }
  }
}

interface Log {
  flush(): Promise<unknown>
  close(): Promise<unknown>
  stats(): { rotations: number }
}

function common(log: Log): Pick<KindOfLog, 'flush' | 'close' | 'rotations'> {
  return {
    flush: () => log.flush(),
    close: () => log.close(),
    rotations: () => log.stats().rotations
  }
}
