// The page of logboom report in a real browser: it opens without errors and without network, by day and by night, and
// those who use a keyboard or have it read to them can use it (axe).
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatBackupName } from '../../src/formats/backup-name.ts'
import { chromium, openPage } from '../helpers/chromium.ts'
import { runCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[]
}

/** A log with each level, a gap, drops, damage, and texts that would like to be part of the page. */
async function makeReport(records: number): Promise<string> {
  const folder = createFolder()
  const hostile = [
    '<script>window.hit = 1</script>',
    '"><img src=x onerror="window.hit = 2">',
    '\x1b[2J',
    '&amp;'
  ]
  const text = Array.from({ length: records }, (_, n) =>
    JSON.stringify({
      level: 10 + 10 * (n % 6),
      time: 1_767_225_600_000 + n * 400 + (n > records / 2 ? 3_600_000 : 0),
      msg: n % 7 === 0 ? hostile[(n / 7) % hostile.length] : `request ${n % 11} completed`
    })
  )
  const lines = (from: number, to?: number) => `${text.slice(from, to).join('\n')}\n`
  writeFileSync(join(folder, formatBackupName('app.log', 1_767_226_600, 0)), lines(0, records >> 1))
  writeFileSync(
    join(folder, 'app.log'),
    `${lines(records >> 1)}{"level":40,"time":1767232900000,"msg":"logboom: 12 records dropped","dropped":12}\nno JSON\n`
  )
  const page = join(folder, 'report.html')
  const { stdout, stderr } = await runCli(['report', join(folder, 'app.log')])
  expect(stderr).toBe('')
  writeFileSync(page, stdout)
  return page
}

describe.skipIf(chromium === undefined)('in headless Chromium (else skipped)', () => {
  test('opens without errors, asks for nothing, runs nothing that the log holds', {
    timeout: 120_000
  }, async () => {
    const page = await openPage(await makeReport(3_000))
    expect(page.complaints).toEqual([])
    expect(page.requests).toHaveLength(1)
    expect(
      await page.evaluate('window.hit === undefined && document.querySelectorAll("script, img").length')
    ).toBe(0)
    expect(await page.evaluate<number>('document.querySelectorAll("svg rect").length')).toBeGreaterThan(10)
    expect(await page.evaluate('document.body.scrollWidth <= window.innerWidth')).toBe(true)
  })

  test.each(['light', 'dark'] as const)(
    'has nothing that axe objects to, in %s colours',
    { timeout: 120_000 },
    async (scheme) => {
      const page = await openPage(await makeReport(3_000))
      await page.prefer(scheme)
      await page.evaluate(axe)
      const found = await page.evaluate<readonly Violation[]>(
        'axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }).then(({ violations }) => violations)'
      )
      const told = found.map(
        ({ id, nodes }) => `${id}: ${nodes.map((node) => node.failureSummary).join('; ')}`
      )
      expect(told).toEqual([])
      const pass = await page.evaluate<number>('axe.run().then(({ passes }) => passes.length)')
      // That the judge is at work at all.
      expect(pass).toBeGreaterThan(10)
      const folder = process.env.LOGBOOM_SCREENSHOTS
      if (folder === undefined) return
      await page.evaluate('document.querySelector("h1").textContent = "/var/log/app/app.log"')
      await page.screenshot(join(folder, `report-${scheme}.png`))
    }
  )
})
