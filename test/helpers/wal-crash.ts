// Starts the writer of wal-writer.mjs and checks what is left of its log after a crash.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { WriteAheadLogOptions } from '../../src/core/wal/options.ts'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'

const script = fileURLToPath(new URL('wal-writer.mjs', import.meta.url))

export interface WriterSettings {
  options: WriteAheadLogOptions
  /** Where resolved promises are noted; survives the crash. */
  acks: string
  session: string
  callers: number
  snapshots: boolean
  /** Every so many calls of a caller is `logSync`; by default 17. */
  syncEvery?: number
}

export interface WalWriter {
  child: ChildProcess
  exited: Promise<unknown>
  stderr: () => string
}

/** Resolves when the log is open and the callers are running; rejects if the process ends before, other than by a kill. */
export async function startWalWriter(
  settings: WriterSettings,
  env: Record<string, string> = {}
): Promise<WalWriter> {
  const child = spawn(process.execPath, [script, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env }
  })
  let stderr = ''
  child.stderr!.on('data', (chunk) => {
    stderr += chunk
  })
  const exited = once(child, 'exit')
  await Promise.race([once(child.stdout!, 'data'), exited])
  if (child.exitCode !== null) throw new Error(`the writer ended with ${child.exitCode}: ${stderr}`)
  return { child, exited, stderr: () => stderr }
}

/**
 * Opens the log (which must need no help), and checks: indices without gap, batches whole, every record whose promise
 * resolved in its place, and nothing that was refused. Returns how many entries there are; with `release` they are released.
 */
export async function checkAfterCrash(
  options: WriteAheadLogOptions,
  acks: string,
  release: boolean
): Promise<number> {
  const log = await WriteAheadLog.open(options)
  try {
    const entries = new Map<bigint, string>()
    let next: bigint | undefined
    for await (const { index, data } of log.read()) {
      expect(index).toBe(next ?? index)
      next = index + 1n
      entries.set(index, data.toString())
    }
    expect(log.lastIndex).toBe(next === undefined ? log.lastIndex : next - 1n)
    const first = next === undefined ? 1n : next - BigInt(entries.size)
    expectWholeBatches(entries, first)
    const notes = readNotes(acks)
    const ids = new Set([...entries.values()].map((text) => text.split(' ')[0]))
    for (const id of notes.refused) expect(ids.has(id), `${id} was refused`).toBe(false)
    for (const [firstIndex, lastIndex, id, count] of notes.acknowledged) {
      for (let index = firstIndex; index <= lastIndex; index++) {
        if (index < first) expect(index).toBeLessThanOrEqual(log.snapshotIndex)
        else
          expect(entries.get(index)?.startsWith(`${id} ${index - firstIndex} ${count} `), `${id}`).toBe(true)
      }
    }
    const snapshot = release ? await log.createSnapshot() : undefined
    await snapshot?.release()
    return entries.size
  } finally {
    await log.close()
  }
}

function expectWholeBatches(entries: Map<bigint, string>, first: bigint): void {
  let expected: string | undefined
  for (const [index, text] of entries) {
    const [id, at, count] = text.split(' ')
    // The first segment left may begin in no batch's middle: segments are cut between batches.
    if (expected === undefined) expect(at, `batch at ${index}`).toBe('0')
    else expect(`${id} ${at}`).toBe(expected)
    expected = Number(at) + 1 === Number(count) ? undefined : `${id} ${Number(at) + 1}`
  }
  expect(expected, `an incomplete batch at the end of the entries from ${first}`).toBeUndefined()
}

interface Notes {
  acknowledged: [bigint, bigint, string, string][]
  refused: string[]
}

function readNotes(path: string): Notes {
  const notes: Notes = { acknowledged: [], refused: [] }
  if (!existsSync(path)) return notes
  for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
    const [firstIndex, lastIndex, id, count] = line.split(' ')
    if (firstIndex === 'refused') notes.refused.push(lastIndex)
    else notes.acknowledged.push([BigInt(firstIndex), BigInt(lastIndex), id, count])
  }
  return notes
}
