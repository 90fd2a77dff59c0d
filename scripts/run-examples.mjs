// Runs every example in an empty folder and checks its exit code and that it prints what its header says under
// `Prints:`: npm run examples [-- <part of a name>]
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const folder = join(dirname(import.meta.dirname), 'examples')
const wanted = process.argv[2] ?? ''
const examples = readdirSync(folder)
  .filter((name) => /\.[cm]js$/.test(name) && name.includes(wanted))
  .sort()
if (examples.length === 0) throw new Error(`no example is named like ${wanted}`)

let failed = 0
for (const name of examples) {
  const path = join(folder, name)
  const expected = /^\/\/ Prints: (.+)$/m.exec(readFileSync(path, 'utf8'))?.[1]
  if (expected === undefined) throw new Error(`${name} has no line "// Prints: …" in its header`)
  const cwd = mkdtempSync(join(tmpdir(), 'logboom-example-'))
  const start = performance.now()
  const result = spawnSync(process.execPath, [path], { cwd, encoding: 'utf8', timeout: 60_000 })
  rmSync(cwd, { recursive: true })
  const passed = result.status === 0 && result.stdout.split('\n').includes(expected)
  if (!passed) failed++
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${passed ? 'ok    ' : 'FAILED'}  ${name}  ${seconds} s`)
  if (passed) continue
  console.log(`exit code ${result.status ?? result.signal}, expected to print: ${expected}`)
  console.log(`printed:\n${result.stdout}${result.stderr}`)
}
console.log(`${examples.length - failed} of ${examples.length} examples work`)
process.exitCode = failed === 0 ? 0 : 1
