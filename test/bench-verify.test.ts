// The bench's own judge: it must find every way in which a contender can damage its output.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'

interface Verdict {
  files: number
  lines: number
  lost: number
  duplicated: number
  torn: number
  largestBytes: number
}

const expected = { records: 10, lineBytes: 20, marker: 'id=', digits: 7, firstId: 1_000_000 }
const lines = Array.from(
  { length: 10 },
  (_, number) => `${`id=${expected.firstId + number} `.padEnd(19, '.')}\n`
)
let folder = ''

async function verdictOn(files: Record<string, string>): Promise<Verdict> {
  folder = mkdtempSync(join(tmpdir(), 'logboom-verify-'))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  const { verifyLines } = await import(new URL('../bench/lib/verify.mjs', import.meta.url).href)
  return verifyLines(folder, expected)
}

afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('every line once over several files is intact, and dot files are not log', async () => {
  const files = { 'a.log': lines.slice(0, 4).join(''), 'b.log': lines.slice(4).join(''), '.a.lock': 'state' }
  expect(await verdictOn(files)).toMatchObject({
    files: 2,
    lines: 10,
    lost: 0,
    duplicated: 0,
    torn: 0,
    largestBytes: 120
  })
})

test('a missing line is lost and a repeated one is duplicated', async () => {
  const content = lines.slice(1).join('') + lines[3] + lines[3]
  expect(await verdictOn({ 'a.log': content })).toMatchObject({ lost: 1, duplicated: 2, torn: 0 })
})

test('a line cut at the end of a file is torn and lost', async () => {
  expect(await verdictOn({ 'a.log': lines.join('').slice(0, -5) })).toMatchObject({ lost: 1, torn: 1 })
})

test('a line merged with the next one is torn, and both are lost', async () => {
  const content = lines[0]!.slice(0, 7) + lines.slice(1).join('')
  expect(await verdictOn({ 'a.log': content })).toMatchObject({ lost: 2, torn: 1 })
})

test('a hole of zeros is torn, also one of exactly two reads', async () => {
  expect(await verdictOn({ 'a.log': lines.join(''), 'b.log': '\0'.repeat(8 << 20) })).toMatchObject({
    lost: 0,
    torn: 2
  })
})

test('an id nobody wrote is torn', async () => {
  const content = `${lines.join('')}${lines[0]!.replace('1000000', '2000000')}`
  expect(await verdictOn({ 'a.log': content })).toMatchObject({ lost: 0, torn: 1 })
})
