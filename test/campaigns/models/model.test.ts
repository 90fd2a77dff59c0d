// A model of each kind of sink: after any operations of several writers, each of which may die after any prefix of its calls
// on the disk, the files hold of each writer the first records, in order and once, at least those acknowledged. The same
// after a cut of power, of what was acknowledged at 'disk'. Random sequences are held against it, and made shorter if one fails.
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createState, durableBytes } from '../../helpers/crash-disk.mjs'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { seed } from '../../helpers/random.ts'
import { isLong, sized } from '../../helpers/sized.ts'
import { faultsIn, readStorm, reopen, type StormKind, stormKinds } from '../../helpers/storm.ts'
import { ModelWriter } from './writer.ts'

const runs = sized(300, 4)
const MOST_COMMANDS = isLong ? 40 : 14
const RUN_MS = 30_000

/** The log, and all writers it ever had. */
class Bench {
  readonly kind: StormKind
  readonly folder: string
  readonly durability: 'os' | 'disk'
  readonly present: (ModelWriter | undefined)[]
  readonly all: ModelWriter[] = []
  /** There was a cut of power. */
  wasCut = false

  constructor(kind: StormKind, folder: string, durability: 'os' | 'disk') {
    this.kind = kind
    this.folder = folder
    this.durability = durability
    this.present = Array.from({ length: kind.writers })
  }

  get options(): Record<string, unknown> {
    const small = this.kind.kind.endsWith('direct-file') || this.kind.name.endsWith('direct-file')
    const own = this.kind.options(this.folder)
    return { ...own, ...('maxBytes' in own && !small && { maxBytes: 3_000 }), durability: this.durability }
  }

  writer(place: number): ModelWriter {
    const at = place % this.present.length
    const held = this.present[at]
    if (held !== undefined && !held.isOver) return held
    const writer = new ModelWriter(this.kind, `w${at}-${this.all.length}`, this.options)
    this.present[at] = writer
    this.all.push(writer)
    return writer
  }

  get living(): ModelWriter[] {
    return this.all.filter(({ isOver }) => !isOver)
  }

  async check(): Promise<void> {
    await reopen(this.kind, this.folder)
    const found = await readStorm(this.kind, this.folder)
    const acknowledged = new Map(this.all.map((writer) => [writer.name, writer.acknowledged]))
    expect(faultsIn(this.kind, found, acknowledged, { mayHaveGaps: this.wasCut })).toEqual([])
    expect(found.foreign).toEqual([])
    for (const { name, logged } of this.all) {
      const own = [...found.numbers]
        .filter(([key]) => key.startsWith(`${name} `))
        .flatMap(([, numbers]) => numbers)
      expect(Math.max(-1, ...own), `${name} has logged ${logged}`).toBeLessThan(logged)
    }
    tally('records', found.records)
  }
}

type Command = fc.AsyncCommand<object, Bench>

function command(text: string, run: (bench: Bench) => Promise<void> | void): Command {
  return { check: () => true, run: async (_, bench) => run(bench), toString: () => text }
}

const place = fc.nat(2)

const commands: fc.Arbitrary<Command>[] = [
  fc
    .tuple(place, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 5_000 }))
    .map(([at, records, bytes]) =>
      command(`write(${at}, ${records}, ${bytes})`, (bench) => bench.writer(at).write(records, bytes))
    ),
  place.map((at) => command(`flush(${at})`, (bench) => bench.writer(at).flush())),
  place.map((at) => command(`close(${at})`, (bench) => bench.writer(at).close())),
  fc
    .tuple(place, fc.integer({ min: 1, max: 60 }), fc.boolean())
    .map(([at, calls, isHalf]) =>
      command(`die(${at}, ${calls}${isHalf ? ', half of a write' : ''})`, (bench) =>
        bench.writer(at).die(calls, isHalf)
      )
    ),
  fc.constant(command('check', (bench) => (bench.living.length === 0 ? bench.check() : undefined)))
]

/** Kinds whose files only grow at their end: what is not durable of them is cut off. */
const canLosePower = (kind: StormKind): boolean =>
  kind.kind === 'rotating-file' || kind.kind === 'binary-file'

const cutPower = fc
  .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 5, maxLength: 5 })
  .map((shares) => command(`cutPower(${shares})`, (bench) => loseUnsynced(bench, shares)))

/** Every writer dies, and of each file any part of what no sync has covered is gone. */
async function loseUnsynced(bench: Bench, shares: readonly number[]): Promise<void> {
  if (bench.durability !== 'disk') return
  bench.wasCut = true
  const durable = new Map<number, number>()
  for (const writer of bench.all) {
    for (const [file, bytes] of durableBytes(writer.state))
      durable.set(file, Math.max(bytes, durable.get(file) ?? 0))
  }
  for (const writer of bench.living) await writer.end()
  for (const [index, name] of readdirSync(bench.folder).entries()) {
    const path = join(bench.folder, name)
    const { size, ino, mode } = statSync(path)
    // The lock file is changed in place, and counts on nothing of it to be durable.
    if ((mode & 0o170000) !== 0o100000 || name.startsWith('.')) continue
    const kept = Math.min(size, durable.get(ino % 2 ** 32) ?? 0)
    truncateSync(path, kept + Math.floor((size - kept) * shares[index % shares.length]))
  }
  tally('power cuts')
}

const chosen = isLong
  ? stormKinds
  : stormKinds.filter(({ name }) => ['rotating-file', 'wal', 'direct-file'].includes(name))

describe.each(chosen.map((kind) => ({ ...kind, kind })))('$name', ({ kind }) => {
  test(
    `${runs} sequences of operations and deaths leave what the model says`,
    { timeout: 60_000 + runs * RUN_MS },
    () => hold(kind, commands)
  )

  test.skipIf(!canLosePower(kind))(
    `${runs} sequences with cuts of power leave what the model says`,
    { timeout: 60_000 + runs * RUN_MS },
    () => hold(kind, [...commands, cutPower], 'disk')
  )
})

async function hold(kind: StormKind, from: fc.Arbitrary<Command>[], durability?: 'disk'): Promise<void> {
  const parent = createMemoryFolder()
  await fc.assert(
    fc.asyncProperty(
      fc.commands(from, { maxCommands: MOST_COMMANDS }),
      durability === undefined ? fc.constantFrom('os' as const, 'disk' as const) : fc.constant(durability),
      async (sequence, level) => {
        const folder = mkdtempSync(join(parent, 'log-'))
        const bench = new Bench(kind, folder, level)
        try {
          await fc.asyncModelRun(() => ({ model: {}, real: bench }), sequence)
          for (const writer of bench.living) await writer.close()
          await bench.check()
          tally('operation sequences')
        } finally {
          for (const writer of bench.living) await writer.end()
          rmSync(folder, { recursive: true, force: true })
        }
      }
    ),
    { numRuns: runs, seed, endOnFailure: false }
  )
}

test('the disk of a writer dies in the middle of its calls', async () => {
  // Else nothing of the above would show anything.
  const kind = stormKinds[0]
  const bench = new Bench(kind, createMemoryFolder(), 'os')
  const writer = bench.writer(0)
  await writer.die(4, true)
  expect(writer.logged).toBeGreaterThan(writer.acknowledged)
  expect(durableBytes(createState()).size).toBe(0)
  await bench.check()
})
