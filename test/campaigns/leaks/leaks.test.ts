// A sink or transport that is opened and closed again and again leaves nothing behind: no descriptor, thread, lock, listener,
// timer, mapping, file or ring, and no memory that grows with the number of its lives.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import type { Kind } from '../../../src/core/registry.ts'
import { tally } from '../../helpers/counts.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { isLong, sized } from '../../helpers/sized.ts'

const script = fileURLToPath(new URL('cycles.mjs', import.meta.url))
/** Before the first look, and then of each log: enough for backups in the long run. */
const warmUp = sized(50, 4)
const lives = Math.ceil(sized(10_000, 4) / warmUp) * warmUp
/** A thread of pino's own takes a tenth of a second to start. */
const pinoLives = Math.ceil(sized(500, 0) / warmUp) * warmUp
const LIFE_LIMIT_MS = 1_000

interface Case {
  readonly kind: Kind
  readonly way: 'class' | 'stream' | 'pino' | 'winston'
  readonly options?: Record<string, unknown>
  readonly lane?: boolean
}

const direct = { bufferSize: 256 * 1024, numShards: 2 }
const outputs: [Kind, Record<string, unknown>][] = [
  ['rotating-file', { maxBytes: 2_000, maxBackups: 2, compress: 'gzip' }],
  ['binary-file', { maxBytes: 2_000, maxBackups: 2 }],
  ['direct-file', direct],
  ['wal', { segmentBytes: 65_536 }],
  ['spool', { size: 2_000 }],
  ['event-files', { output: 'rotating-file' }],
  ['event-files', { output: 'binary-file' }],
  ['event-files', { output: 'direct-file', ...direct }],
  ['event-files', { output: 'wal', segmentBytes: 65_536 }]
]

const all: Case[] = outputs.flatMap(([kind, options]): Case[] => [
  { kind, way: 'class', options },
  { kind, way: 'stream', options, lane: true },
  { kind, way: 'winston', options, lane: true },
  ...(pinoLives > 0 ? [{ kind, way: 'pino' as const, options }] : []),
  ...(kind === 'spool' ? [] : [{ kind, way: 'class' as const, options, lane: true }])
])
const few = ({ kind, way, options }: Case): boolean =>
  (way === 'class' && kind === 'direct-file') || (way === 'stream' && options?.output === 'rotating-file')
const chosen = (isLong ? all : all.filter(few)).filter(({ lane }) => lane !== true || MappedRing.isAvailable)
const named = chosen.map((one) => ({
  ...one,
  what: `${one.kind}${one.options?.output ? ` over ${one.options.output}` : ''}, ${one.way}${one.lane ? ', with a lane' : ''}`
}))

interface Held {
  readonly heapBytes: number
  readonly outsideBytes: number
  readonly residentBytes: number
}

interface Told {
  readonly before: Held
  readonly after: Held
  readonly namesBefore: string[]
  readonly namesAfter: string[]
}

/** Beside what is constant, a life may leave so little. */
const HEAP_BYTES_A_LIFE = 400
const ROOM_BYTES = 6 * 1024 * 1024
const RESIDENT_ROOM_BYTES = 120 * 1024 * 1024

test.skipIf(process.platform !== 'linux').each(named)(
  '$what: many lives leave nothing behind (needs /proc)',
  { timeout: 120_000 + lives * LIFE_LIMIT_MS },
  async ({ what: _what, ...one }) => {
    const times = one.way === 'pino' ? pinoLives : lives
    const root = createMemoryFolder()
    const [folder, laneDir] = [join(root, 'logs'), join(root, 'lane')]
    mkdirSync(folder)
    mkdirSync(laneDir, { mode: 0o700 })
    const settings = JSON.stringify({ options: {}, ...one, folder, laneDir, lives: times, warmUp })
    const child = spawn(process.execPath, ['--expose-gc', script, settings], {
      stdio: ['ignore', 'pipe', 'pipe']
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [stdout, stderr] = [text(child.stdout), text(child.stderr)]
    await once(child, 'close')
    expect(await stderr).toBe('')
    const { before, after, namesBefore, namesAfter } = JSON.parse(await stdout) as Told
    tally('lives', times)
    const { heapBytes, outsideBytes, residentBytes, ...counted } = after
    const most = before as unknown as Record<string, number>
    for (const [what, number] of Object.entries(counted)) {
      expect(number, `${what} after ${times} lives`).toBeLessThanOrEqual(most[what])
    }
    expect(heapBytes - before.heapBytes).toBeLessThan(ROOM_BYTES + times * HEAP_BYTES_A_LIFE)
    expect(outsideBytes - before.outsideBytes).toBeLessThan(ROOM_BYTES)
    expect(residentBytes - before.residentBytes).toBeLessThan(RESIDENT_ROOM_BYTES)
    expect(namesAfter).toEqual(namesBefore)
  }
)
