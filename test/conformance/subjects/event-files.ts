// Event files in the conformance suite, once over each kind of file.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { EventFiles } from 'logboom'
import type { Entry, Subject } from '../subject.ts'
import { readPayloads } from './binary-file.ts'
import { readDirect } from './direct-file.ts'
import { readLines } from './rotating-file.ts'
import { readAfterDeath, readEntries } from './wal.ts'

/** Most records are of the first; the last is where lines without an event go. */
const EVENTS = ['orders', 'orders', 'logins', 'default']
const SHARD_BYTES = 64 * 1024

interface Output {
  readonly options: Record<string, unknown>
  /** The records of one event in the order of its file. */
  readonly readEvent: (folder: string, event: string) => string[]
  /** The same with what the next start would find beside it. */
  readonly readStored?: (folder: string, event: string) => string[]
  readonly live: (folder: string) => string
  readonly padding?: number
  readonly stagingBytes?: number
  readonly syncs?: Subject['syncs']
}

const outputs: Record<string, Output> = {
  'rotating-file': {
    options: { maxBytes: 2_000 },
    readEvent: (folder, event) => readLines(join(folder, `${event}.log`)),
    live: (folder) => join(folder, 'orders.log')
  },
  'binary-file': {
    options: { maxBytes: 2_000 },
    readEvent: (folder, event) => readPayloads(join(folder, `${event}.log`)),
    live: (folder) => join(folder, 'orders.log')
  },
  'direct-file': {
    options: { maxBytes: 2 * SHARD_BYTES, bufferSize: 2 * SHARD_BYTES, numShards: 2 },
    readEvent: (folder, event) => readDirect(join(folder, `${event}.log`)),
    live: (folder) => join(folder, 'orders.log'),
    padding: 8_000,
    stagingBytes: 4 * SHARD_BYTES,
    syncs: ['write', 'writev', 'writevHashed']
  },
  wal: {
    options: { segmentBytes: 4_096, durability: 'os' },
    readEvent: (folder, event) => readEntries(join(folder, event, 'wal')),
    readStored: (folder, event) => readAfterDeath(join(folder, event, 'wal')),
    live: (folder) => join(folder, 'orders', 'wal')
  }
}

const entries: Record<string, Entry> = {
  'log, its data': {
    takes: ['text', 'Uint8Array'],
    good: 'late',
    call: (sink, value) => (sink as EventFiles).log('orders', value as string)
  },
  'log, its event': { call: (sink, value) => (sink as EventFiles).log(value as string, 'never stored') },
  open: { good: 'orders', call: (sink, value) => (sink as EventFiles).open(value as string) },
  'close of an event': {
    takes: ['text', 'undefined'],
    call: (sink, value) => (sink as EventFiles).close(value as string)
  },
  'stats of an event': {
    takes: ['text', 'undefined'],
    call: (sink, value) => (sink as EventFiles).stats(value as string)
  }
}

export const eventFiles: Subject[] = Object.entries(outputs).map(([output, how]) => ({
  kind: 'event-files',
  output,
  options: (folder) => ({ dir: join(folder, 'events'), output, ...how.options }),
  read: (folder) => merged(join(folder, 'events'), how.readEvent),
  ...(how.readStored && {
    readStored: (folder: string) => merged(join(folder, 'events'), how.readStored!)
  }),
  line(index) {
    const event = EVENTS[index % EVENTS.length]
    const pad = 'x'.repeat((how.padding ?? 0) + ((index * 37) % 300))
    return event === 'default'
      ? JSON.stringify({ id: index, pad })
      : JSON.stringify({ event, id: index, pad })
  },
  syncs: how.syncs ?? [],
  stagingBytes: how.stagingBytes ?? 0,
  entries,
  livePath: (folder) => how.live(join(folder, 'events'))
}))

/** The records of all events as one sequence: the files merged by number, each kept in its own order. */
function merged(folder: string, readEvent: Output['readEvent']): string[] {
  if (!existsSync(folder) || readdirSync(folder).length === 0) return []
  const files = [...new Set(EVENTS)].map((event) => {
    let last = -1
    return readEvent(folder, event).map((text) => {
      // A notice of drops has no number: it stays behind the record it follows.
      const { id = last, event: found = 'default' } = JSON.parse(text)
      if (found !== event) throw new Error(`a record of ${found} is in the file of ${event}`)
      last = id
      return { id: id as number, text }
    })
  })
  const texts: string[] = []
  for (;;) {
    const next = files.filter((file) => file.length > 0).sort((a, b) => a[0].id - b[0].id)[0]
    if (next === undefined) return texts
    texts.push(next.shift()!.text)
  }
}

export function eventFilesOver(output: string): Subject {
  const found = eventFiles.find((subject) => subject.output === output)
  if (found === undefined) throw new Error(`no event files over ${output}`)
  return found
}
