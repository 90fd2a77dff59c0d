// A flusher on the thread of the test, with a disk that can fail.
import { randomUUID } from 'node:crypto'
import { createJournal } from '../../src/core/direct-file/files/flush-journal.ts'
import { Flusher } from '../../src/core/direct-file/flusher/flusher.ts'
import type { FlusherMessage, FlusherOptions } from '../../src/core/direct-file/flusher/flusher-protocol.ts'
import { ShardCollector } from '../../src/core/direct-file/flusher/shard-collector.ts'
import {
  control,
  createMemory,
  runState,
  SharedMemory,
  threadState
} from '../../src/core/direct-file/memory/shared-memory.ts'
import { DirectWriter } from '../../src/core/direct-file/memory/writer.ts'
import { parseDirectFileOptions } from '../../src/core/direct-file/options.ts'
import type { Disk } from '../../src/io/disk.ts'
import { realDisk } from '../../src/io/disk.ts'
import { atTestEnd } from './at-test-end.ts'
import { createFaultyDisk, type FaultyDisk } from './faulty-disk.ts'

export interface FlusherUnderTest {
  readonly memory: SharedMemory
  readonly writer: DirectWriter
  readonly faulty: FaultyDisk
  readonly messages: FlusherMessage[]
  /** Looks at the same memory as the flusher's own. */
  readonly collector: ShardCollector
  /** Asks for a flush and tries `turns` times; true if it was carried out. */
  flush(turns?: number): boolean
  rotate(): void
  /** The flusher ends where it is, and another goes on with the same memory. */
  restart(): void
  close(turns?: number): void
}

export function createFlusher(
  path: string,
  options: Record<string, unknown> = {},
  replaced: Partial<Disk> = {}
): FlusherUnderTest {
  const parsed = parseDirectFileOptions({ path, bufferSize: '512k', numShards: 4, ...options })
  const memory = new SharedMemory({
    buffer: createMemory(parsed.shape),
    shape: parsed.shape,
    channel: randomUUID(),
    path,
    overflow: parsed.overflow,
    maxLargeBytes: parsed.maxBufferBytes
  })
  const faulty = createFaultyDisk()
  const messages: FlusherMessage[] = []
  const flusherOptions: FlusherOptions = {
    ...parsed,
    flushIntervalMs: parsed.flushInterval,
    flushTimeoutMs: parsed.flushTimeout,
    minFreeBytes: parsed.minFreeBytes,
    journal: createJournal(1),
    mustSync: parsed.durability === 'disk'
  }
  const start = (isRestart: boolean): Flusher =>
    new Flusher(
      memory,
      { ...flusherOptions, isRestart },
      { ...faultyMethods(faulty.disk), ...replaced },
      {
        send: (message) => messages.push(message),
        receive: () => undefined
      }
    )
  let flusher = start(false)
  Atomics.store(memory.words, control.state, runState.open)
  Atomics.store(memory.words, control.thread, threadState.running)
  const step = (turns: number, done: () => boolean): boolean => {
    for (let turn = 0; turn < turns && !done(); turn++) flusher.step()
    return done()
  }
  const under: FlusherUnderTest = {
    memory,
    writer: new DirectWriter(memory),
    faulty,
    messages,
    collector: new ShardCollector(memory, 0, () => undefined),
    flush(turns = 20) {
      const number = Atomics.add(memory.words, control.flushAsked, 1) + 1
      return step(turns, () => Atomics.load(memory.words, control.flushDone) === number)
    },
    rotate() {
      Atomics.add(memory.words, control.rotateAsked, 1)
      under.flush()
    },
    restart() {
      flusher = start(true)
    },
    close(turns = 20) {
      if (Atomics.load(memory.words, control.state) === runState.closed) return
      Atomics.store(memory.words, control.state, runState.closing)
      step(turns, () => Atomics.load(memory.words, control.state) === runState.closed)
    }
  }
  atTestEnd(() => {
    faulty.fault = () => undefined
    under.close()
  })
  return under
}

/** The methods of a proxy, so that some can be replaced. */
function faultyMethods(disk: Disk): Disk {
  const names = Object.keys(realDisk) as (keyof Disk)[]
  return Object.fromEntries(names.map((name) => [name, disk[name]])) as unknown as Disk
}
