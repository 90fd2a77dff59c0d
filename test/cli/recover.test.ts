// logboom recover and logboom info: what waits in lanes is shown, and written where nobody else does.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import type { LaneFolder } from '../../src/core/lane/lane-folder.ts'
import { LaneFolder as Folder } from '../../src/core/lane/lane-folder.ts'
import { MappedRing } from '../../src/core/lane/mapped-ring.ts'
import { realDisk } from '../../src/io/disk.ts'
import { runCli } from '../helpers/cli.ts'
import { deadLane, livingLane, usualLaneFolder } from '../helpers/dead-lane.ts'
import { createFolder, memoryRoot } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'

describe.skipIf(!MappedRing.isAvailable)('recover (needs the addon)', () => {
  let folder: LaneFolder
  let logs: string
  let text: string
  let binary: string
  beforeEach(() => {
    folder = usualLaneFolder()
    logs = createFolder()
    text = join(logs, 'a.log')
    binary = join(logs, 'b.bin')
    deadLane(folder, { path: text, kind: 'rotating-file', options: { path: text, maxBytes: 1000 } }, [
      'one\n',
      'two\n'
    ])
    const options = { path: binary, maxBytes: 1000 }
    deadLane(folder, { path: binary, kind: 'binary-file', options, unit: 'payload' }, ['a\nb'])
  })
  const leftovers = (): string[] => readdirSync(folder.path)
  const ours = (stdout: string): string =>
    stdout
      .split('\n')
      .filter((line) => line.includes(logs))
      .toSorted()
      .join('\n')

  test('shows what waits, and changes nothing', async () => {
    const before = leftovers()
    const { stdout, stderr, code } = await runCli(['recover', '--dry-run'])
    expect([stderr, code]).toEqual(['', 0])
    const wait = ` of process ${process.pid} since \\S+: wait for somebody to write them`
    expect(ours(stdout)).toMatch(
      new RegExp(`^${text}: 2 records \\(8 B\\)${wait}\n${binary}: 1 records \\(3 B\\)${wait}$`)
    )
    expect(leftovers()).toEqual(before)
    expect(existsSync(text)).toBe(false)
  })

  test('writes all of it, each log in its form, and removes the lanes', async () => {
    const { stdout, stderr, code } = await runCli(['recover', text, binary, '--json'])
    expect([stderr, code]).toEqual(['', 0])
    const told = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
    expect(told).toMatchObject([
      { path: text, kind: 'rotating-file', pid: process.pid, records: 2, bytes: 8, state: 'written' },
      { path: binary, kind: 'binary-file', records: 1, bytes: 3, state: 'written' }
    ])
    expect(readFileSync(text, 'utf8')).toBe('one\ntwo\n')
    expect((await collect(binary)).lines).toEqual(['a\nb'])
    expect(leftovers()).toEqual([])
    expect((await runCli(['recover', text])).stdout).toBe('')
  })

  test('of a log that is named writes that alone', async () => {
    await runCli(['recover', text])
    expect(readFileSync(text, 'utf8')).toBe('one\ntwo\n')
    expect(existsSync(binary)).toBe(false)
    expect(leftovers()).toHaveLength(2)
  })

  test('leaves the lanes of those who live, and says so', async () => {
    const path = join(logs, 'c.log')
    const { ring } = livingLane(folder, { path, kind: 'rotating-file', options: { path } }, ['live\n'])
    const { stdout, code } = await runCli(['recover', path])
    expect(stdout).toContain('in the lane of a process that lives')
    expect(code).toBe(0)
    expect(existsSync(path)).toBe(false)
    expect(ring.drained).toBe(0)
  })

  test('looks in another folder when told to', async () => {
    const elsewhere = Folder.open(realDisk, join(createFolder(memoryRoot), 'lanes'))
    const path = join(logs, 'd.log')
    deadLane(elsewhere, { path, kind: 'rotating-file', options: { path, lane: { dir: elsewhere.path } } }, [
      'far\n'
    ])
    expect((await runCli(['recover', path])).stdout).toBe('')
    expect((await runCli(['recover', path, '--dir', elsewhere.path])).stdout).toContain('1 records')
    expect(readFileSync(path, 'utf8')).toBe('far\n')
    expect(readdirSync(elsewhere.path)).toEqual([])
  })

  test('where the log cannot be written says why, with exit code 3, and everything waits', async () => {
    // A folder at the place of the log: also root cannot write to that.
    mkdirSync(text)
    const { stdout, stderr, code } = await runCli(['recover', text, '--timeout', '1'])
    expect(code).toBe(3)
    expect(stderr).toContain(text)
    expect(stdout).toContain('could not be written and wait')
    expect(leftovers().length).toBeGreaterThan(2)
  })

  test('reports a lane that cannot be read, with exit code 2, and writes the others', async () => {
    const ring = leftovers().find((name) => name.endsWith('.ring'))!
    writeFileSync(join(folder.path, ring), 'no ring')
    chmodSync(join(folder.path, ring), 0o600)
    const { stderr, code } = await runCli(['recover', text, binary])
    expect(code).toBe(2)
    expect(stderr).toContain('cannot be read')
    expect(leftovers()).toContain(ring)
    expect(existsSync(text) !== existsSync(binary)).toBe(true)
  })

  test('info tells of lanes of the log', async () => {
    writeFileSync(text, 'zero\n')
    const { stdout } = await runCli(['info', text])
    expect(stdout).toMatch(/lane +2 records \(8 B\) of process \d+ since \S+ \(dead; the next writer/)
    const { details } = JSON.parse((await runCli(['info', '--json', text])).stdout)
    expect(details.lane).toContain('2 records')
  })
})
