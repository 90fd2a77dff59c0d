// The catalog of campaigns and the command that runs them.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { promiseTable } from '../../scripts/reliability.mjs'
import { campaigns } from './catalog.mjs'
import { promises } from './promises.mjs'
import { addCounts, sumResults } from './results.mjs'
import { safeguards } from './safeguard-list.mjs'

const root = join(import.meta.dirname, '../..')
const files = Object.values(campaigns).flatMap((campaign) => campaign.files)

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(import.meta.dirname, 'run.mjs'), ...args], { encoding: 'utf8' })
}

test('every test of this folder belongs to a campaign', () => {
  const names = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  const tests = names.filter((name) => name.includes('/') && name.endsWith('.test.ts'))
  expect(tests.length).toBeGreaterThan(20)
  for (const name of tests) {
    expect(
      files.some((file) => `test/campaigns/${name}`.startsWith(file)),
      name
    ).toBe(true)
  }
})

test.each(files)('%s exists', (file) => {
  expect(existsSync(join(root, file))).toBe(true)
})

test('the list names every campaign', () => {
  const { status, stdout } = run('--list')
  expect(status).toBe(0)
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0])
  ).toEqual(Object.keys(campaigns))
})

test.each([
  [['no-such-campaign'], "there is no campaign 'no-such-campaign'"],
  [['constructor'], "there is no campaign 'constructor'"],
  [['kills', '--seed', '1.5'], '--seed must be'],
  [['kills', '--seed', 'x'], '--seed must be'],
  [['kills', '--minutes', '-1'], '--minutes'],
  [['kills', '--minutes', '0'], '--minutes must be'],
  [['kills', '--size', 'all'], '--size must be'],
  [['--wrong'], '--wrong']
])('%j is refused in one line before anything runs', (args, message) => {
  const { status, stdout, stderr } = run(...args)
  expect(status).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).toContain(message)
  expect(stderr).toContain('usage: npm run test:long')
})

test('counts are summed within a run and over runs, and a line that was cut short is left out', () => {
  const counts = addCounts('{"kills":1}\n{"kills":2,"records":10}\n{"kil')
  expect(counts).toEqual({ kills: 3, records: 10 })
  const good = { campaign: 'kills', seconds: 5, passed: 2, failed: [], counts }
  const bad = { ...good, passed: 1, failed: [{}] }
  expect(sumResults([good, bad, good]).kills).toEqual({
    runs: 3,
    seconds: 15,
    passed: 5,
    failed: 1,
    // What was counted in a run that failed shows nothing.
    counts: { kills: 6, records: 20 }
  })
})

test('what a page says of a test that does not exist is refused', () => {
  // Each promise names tests and a campaign that are there.
  expect(promiseTable(root).split('\n')).toHaveLength(promises.length + 2)
  expect(() => promiseTable(join(root, 'docs'))).toThrow('does not exist')
})

test('a safeguard is taken out of what is there exactly once', () => {
  expect(Object.keys(safeguards).length).toBeGreaterThanOrEqual(10)
  for (const [name, { changes, tests }] of Object.entries(safeguards)) {
    for (const { file, from } of changes) {
      expect(readFileSync(join(root, file), 'utf8').split(from).length - 1, `${name}: ${from}`).toBe(1)
    }
    for (const file of tests) expect(existsSync(join(root, file)), `${name}: ${file}`).toBe(true)
  }
})
