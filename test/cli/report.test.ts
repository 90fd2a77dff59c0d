// logboom report: its figures are those of an independent count, and the page is harmless whatever the log holds.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { reportPage } from '../../src/cli/report/page.ts'
import { Tally } from '../../src/cli/report/tally.ts'
import { formatBackupName } from '../../src/formats/backup-name.ts'
import type { RecordBatch } from '../../src/readers/reader.ts'
import { runCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { random } from '../helpers/random.ts'

/** The number in the row of the table that begins with `label`. */
function figure(page: string, label: string): number {
  const match = new RegExp(`<td>${label}</td><td class="number">(\\d+)</td>`).exec(page)
  return Number(match?.[1])
}

function batchOf(texts: readonly string[]): RecordBatch {
  const bytes = Buffer.from(texts.join('\n'))
  const bounds: number[] = []
  let at = 0
  for (const text of texts) {
    bounds.push(at, at + Buffer.byteLength(text))
    at += Buffer.byteLength(text) + 1
  }
  return { file: '/a.log', bytes, position: 0, bounds }
}

describe('the figures', () => {
  test('are those of an independent count, over backups and the live file', async () => {
    const below = (n: number) => Math.floor(random() * n)
    const folder = createFolder()
    const levels = [10, 20, 30, 40, 50, 60, undefined]
    const records = [...Array(3000).keys()].map((n) => ({
      level: levels[below(levels.length)],
      time: 1_767_225_600_000 + n * 997 + (n > 2000 ? 600_000 : 0),
      msg: `message ${below(7)}`,
      pad: 'x'.repeat(below(200))
    }))
    const texts = records.map((record) => JSON.stringify(record))
    const lines = (part: readonly string[]) => part.map((text) => `${text}\n`).join('')
    writeFileSync(
      join(folder, `${formatBackupName('app.log', 1_767_226_600, 0)}.gz`),
      gzipSync(lines(texts.slice(0, 1000)))
    )
    writeFileSync(join(folder, formatBackupName('app.log', 1_767_227_600, 0)), lines(texts.slice(1000, 1500)))
    const dropped = JSON.stringify({
      level: 40,
      time: 1_767_229_900_000,
      msg: 'logboom: 12 records dropped',
      dropped: 12,
      bytes: 99
    })
    writeFileSync(join(folder, 'app.log'), `${lines(texts.slice(1500))}${dropped}\nno JSON\n`)
    const { stdout: page, code, stderr } = await runCli(['report', join(folder, 'app.log')])
    expect([code, stderr]).toEqual([0, ''])
    const all = [...texts, dropped, 'no JSON']
    expect(figure(page, 'Records')).toBe(3002)
    expect(figure(page, 'Bytes of records')).toBe(all.reduce((sum, text) => sum + text.length, 0))
    expect(figure(page, 'Records without a time')).toBe(1)
    expect(figure(page, 'Rotations')).toBe(2)
    expect(figure(page, 'Files')).toBe(3)
    expect(figure(page, 'Dropped records, as the log says')).toBe(12)
    for (const [name, level] of [
      ['info', 30],
      ['error', 50],
      ['fatal', 60],
      ['trace', 10]
    ])
      expect(page).toContain(`${name}: ${records.filter((record) => record.level === level).length}</li>`)
    for (let n = 0; n < 7; n++) {
      const count = records.filter(({ msg }) => msg === `message ${n}`).length
      expect(page).toContain(`<td class="number">${count}</td><td>message ${n}</td>`)
    }
    const longest = Math.max(...texts.map((text) => text.length))
    expect(page).toContain(`<h2>Largest records</h2>`)
    expect(page.slice(page.indexOf('<h2>Largest records</h2>'))).toContain(
      `<tr><td class="number">${longest}</td>`
    )
    expect(page).toMatch(/<td class="number">601<\/td><td>2026-/)
  })

  test('keep of long messages no more than their heads in memory', () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const tally = new Tally()
    gc()
    const before = process.memoryUsage().heapUsed
    for (let n = 0; n < 60; n++)
      tally.add(batchOf([JSON.stringify({ msg: `${n} ${'m'.repeat(1_000_000)}` })]))
    gc()
    const kept = process.memoryUsage().heapUsed - before
    expect(tally.commonest(100)).toHaveLength(60)
    expect(kept / 1e6).toBeLessThan(20)
  })

  test('pass over times and counts that cannot be', () => {
    const tally = new Tally()
    const texts = [1e300, -1e300, 1e17, -9e18].map((time) => JSON.stringify({ time, msg: 'x' }))
    tally.add(batchOf([...texts, '{"time":1e999,"msg":"x"}', '{"time":1767225600000,"msg":"x"}']))
    const notice = (dropped: unknown) => JSON.stringify({ msg: 'logboom: 5 records dropped', dropped })
    tally.add(batchOf([notice(-5), notice(1e308), notice('7'), notice(1.5), notice(5)]))
    expect([tally.untimed, tally.dropped, tally.dropNotices]).toEqual([10, 5, 1])
    expect(tally.spans.size).toBe(1)
    const facts = { title: 'x', madeAt: '', tally, rotations: 0, damage: [], skippedBytes: 0, notes: [] }
    expect(reportPage(facts)).not.toMatch(/NaN|Infinity|undefined|Remarks/)
    const notes = [{ path: '<a>', text: 'records were removed' }]
    expect(reportPage({ ...facts, notes })).toContain('<td>&lt;a&gt;</td><td>records were removed</td>')
  })

  test('stay whole when spans become longer and messages too many', () => {
    const tally = new Tally()
    const count = 30_000
    const texts = [...Array(count).keys()].map((n) =>
      JSON.stringify({ time: 1e12 + n * 60_000, level: 30, msg: `m${n}` })
    )
    for (let at = 0; at < count; at += 500) tally.add(batchOf(texts.slice(at, at + 500)))
    expect(tally.spans.size).toBeLessThanOrEqual(2880)
    const spans = [...tally.spans.values()]
    expect(spans.reduce((sum, { records }) => sum + records[3], 0)).toBe(count)
    expect(spans.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(tally.bytes)
    expect(tally.otherMessages).toBe(10_000)
    expect(tally.gaps).toHaveLength(10)
  })
})

test('the page runs and loads nothing, whatever is in names and records', async () => {
  const folder = createFolder()
  const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>\u001b[2J`
  writeFileSync(join(folder, `<b>&.log`), `${JSON.stringify({ level: 30, time: 1, msg: evil })}\n${evil}\n`)
  const { stdout: page, code } = await runCli(['report', join(folder, '<b>&.log')])
  expect(code).toBe(0)
  expect(page).not.toMatch(/<script|<img|<b>|\u001b|https?:|url\(/)
  expect(page).toContain("default-src 'none'")
  expect(page).toContain('&lt;b&gt;&amp;.log')
})

test('of what is no log there is no page; of what is no text there is one', async () => {
  const folder = createFolder()
  expect(await runCli(['report', folder])).toMatchObject({ code: 3, stdout: '' })
  const path = join(folder, 'app.log')
  writeFileSync(path, Buffer.from(Array.from({ length: 200_000 }, () => Math.floor(random() * 256))))
  const { stdout, stderr, code } = await runCli(['report', path])
  expect(code).toBe(0)
  expect(figure(stdout, 'Records')).toBeGreaterThan(500)
  expect(stderr).toContain('holds NUL bytes')
  expect(stdout).not.toMatch(/[\x00-\x08\x0e-\x1f]/)
})

test('damage is in the page, and in the exit code', async () => {
  const path = join(createFolder(), 'app.log')
  writeFileSync(`${path}.20260101-000000.0.gz`, gzipSync('{"level":30}\n'.repeat(5000)).subarray(0, 60))
  writeFileSync(path, '{"level":30}\n')
  const { stdout, code } = await runCli(['report', path])
  expect(code).toBe(2)
  expect(figure(stdout, 'Damaged places')).toBe(1)
  expect(stdout).toContain('cut short')
})

test('a filter is the same as for cat, and stdin is refused', async () => {
  const path = join(createFolder(), 'app.log')
  writeFileSync(path, '{"level":30}\n{"level":50}\n')
  expect(figure((await runCli(['report', '--level', 'error', path])).stdout, 'Records')).toBe(1)
  expect((await runCli(['report', '-'])).code).toBe(1)
})
