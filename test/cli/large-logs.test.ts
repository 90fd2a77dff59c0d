// Large logs: what is opened and how much memory is taken does not depend on how much there is; a report reads once. With
// LOGBOOM_LONG ten gigabytes of backups and a log of one gigabyte, else small ones.
import { appendFileSync, constants, copyFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { formatBackupName } from '../../src/formats/backup-name.ts'
import { cliPath } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { measure } from '../helpers/resident.ts'
import { isLong, sized } from '../helpers/sized.ts'

const MIB = 1024 * 1024
const HOUR = 3_600_000

/** Notes each file that Node opens. */
const openHook = `import fs from 'node:fs'
    import promises from 'node:fs/promises'
    import { syncBuiltinESMExports } from 'node:module'
    for (const [owner, name] of [[promises, 'open'], [fs, 'open'], [fs, 'openSync']]) {
      const open = owner[name]
      owner[name] = (path, ...rest) => {
        if (String(path).includes('app.log')) fs.writeSync(2, 'opened ' + path + '\\n')
        return open(path, ...rest)
      }
    }
    syncBuiltinESMExports()`

test(`the last minutes and the last records of ${sized('10 GB', '40 MB')} of backups`, {
  timeout: 3_600_000
}, () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  const count = sized(1_000, 20)
  const backupBytes = sized(10, 2) * MIB
  const now = Date.now()
  const line = (n: number, time: number) => `${JSON.stringify({ level: 30, time, n, msg: 'x'.repeat(60) })}\n`
  const old = join(folder, 'old')
  writeFileSync(old, line(0, now - 48 * HOUR).repeat(Math.ceil(backupBytes / line(0, now).length)))
  for (let number = 0; number < count; number++) {
    const name = formatBackupName('app.log', Math.floor((now - 24 * HOUR) / 1000) + number * 60, 0)
    copyFileSync(old, join(folder, name), constants.COPYFILE_FICLONE)
  }
  const recent = formatBackupName('app.log', Math.floor((now - 60_000) / 1000), 0)
  writeFileSync(join(folder, recent), line(1, now - 120_000) + line(2, now - 90_000))
  writeFileSync(path, line(3, now - 1_000))
  const run = (...args: string[]) => {
    const { code, stdout, stderr, residentBytes } = measure([cliPath, ...args, path], [openHook])
    const lines = stderr.split('\n').filter((each) => each !== '')
    const opened = new Set(
      lines.map((each) => each.replace(/^opened /, '')).filter((each) => !/\/\.app/.test(each))
    )
    expect({ args, code, other: lines.filter((each) => !each.startsWith('opened ')) }).toEqual({
      args,
      code: 0,
      other: []
    })
    expect(residentBytes / MIB).toBeLessThan(sized(110, 110))
    return {
      numbers: stdout
        .trimEnd()
        .split('\n')
        .map((each) => JSON.parse(each).n),
      opened: [...opened],
      residentBytes
    }
  }
  const since = run('cat', '--since', '10m')
  expect(since.numbers).toEqual([1, 2, 3])
  expect(since.opened.sort()).toEqual([path, join(folder, recent)].sort())
  const last = run('tail', '-n', '3')
  expect(last.numbers).toEqual([1, 2, 3])
  expect(last.opened.length).toBeLessThanOrEqual(2)
  const more = run('tail', '-n', '1000')
  expect(more.numbers.length).toBe(1_000)
  expect(more.opened.length).toBeLessThanOrEqual(3)
  // Against Node with nothing to do.
  const bare = measure(['-e', '0']).residentBytes
  for (const { residentBytes } of [since, last, more]) expect((residentBytes - bare) / MIB).toBeLessThan(64)
})

test(`a report of ${sized('1 GB', '20 MB')} is one pass within bounds, and its figures are those of a bare loop`, {
  timeout: 3_600_000
}, () => {
  const path = join(createFolder(), 'app.log')
  const wanted = sized(1_000, 20) * 1_000_000
  const start = Date.UTC(2026, 0, 1)
  const piece = (from: number) =>
    Array.from({ length: 10_000 }, (_, at) => {
      const n = from + at
      const pad = 'x'.repeat(n % 97)
      return `${JSON.stringify({ level: 10 * (1 + (n % 6)), time: start + n * 20, pid: 42, hostname: 'host', msg: `request ${n % 1_000} done`, pad })}\n`
    }).join('')
  writeFileSync(path, '')
  let bytes = 0
  for (let from = 0; bytes < wanted; from += 10_000) {
    const text = piece(from)
    appendFileSync(path, text)
    bytes += text.length
  }
  const loop = `import { createReadStream } from 'node:fs'
    import { createInterface } from 'node:readline'
    const levels = {}
    let records = 0, bytes = 0
    const begun = performance.now()
    for await (const line of createInterface({ input: createReadStream(${JSON.stringify(path)}) })) {
      const record = JSON.parse(line)
      levels[record.level] = (levels[record.level] ?? 0) + 1
      records++
      bytes += line.length
    }
    console.log(JSON.stringify({ levels, records, bytes, ms: performance.now() - begun }))`
  const script = join(path, '..', 'loop.mjs')
  writeFileSync(script, loop)
  const bare = measure([script])
  const counted = JSON.parse(bare.stdout)
  const report = measure([cliPath, 'report', path])
  expect([report.code, report.stderr.trim()]).toEqual([0, ''])
  const figure = (label: string) =>
    Number(new RegExp(`<td>${label}</td><td class="number">(\\d+)</td>`).exec(report.stdout)?.[1])
  expect([figure('Records'), figure('Bytes of records')]).toEqual([counted.records, counted.bytes])
  for (const [level, name] of Object.entries({ 10: 'trace', 30: 'info', 50: 'error', 60: 'fatal' }))
    expect(report.stdout).toContain(`${name}: ${counted.levels[level]}</li>`)
  expect(report.residentBytes / MIB).toBeLessThan(256)
  console.log(
    `report ${Math.round(report.ms)} ms (CPU ${Math.round(report.cpuMs)}), a bare loop ${Math.round(bare.ms)} ms (CPU ${Math.round(bare.cpuMs)}), ${Math.round(report.residentBytes / MIB)} MiB`
  )
  if (isLong) expect(report.ms).toBeLessThan(2 * bare.ms)
})

test.skipIf(!isLong)(
  'a report keeps its bound of memory with messages of a megabyte (only with LOGBOOM_LONG)',
  { timeout: 3_600_000 },
  () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, '')
    const count = sized(4_000, 4_000)
    for (let n = 0; n < count; n++)
      appendFileSync(path, `${JSON.stringify({ level: 30, time: n, msg: `${n} ${'m'.repeat(MIB)}` })}\n`)
    const { code, stdout, residentBytes } = measure([cliPath, 'report', path])
    expect(code).toBe(0)
    expect(stdout).toContain(`<td>Records</td><td class="number">${count}</td>`)
    expect(residentBytes / MIB).toBeLessThan(256)
    expect(statSync(path).size).toBeGreaterThan(count * MIB)
  }
)
