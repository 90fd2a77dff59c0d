// Runs the test suite on several versions of Node: npm run test:nodes [-- <version>...]
// Arguments after the versions that start with a dash or name a test file go to vitest.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)
const isVersion = (argument) => /^\d+(\.\d+)*$/.test(argument)
const given = process.argv.slice(2)
const versions = given.filter(isVersion)
if (versions.length === 0) versions.push('20', '22', '24', '26')
const forVitest = given.filter((argument) => !isVersion(argument))

const rows = versions.map((version) => {
  const node = ['-y', '-p', `node@${version}`, 'node']
  const start = performance.now()
  const exact = spawnSync('npx', [...node, '--version'], { encoding: 'utf8' })
  console.log(`\n== Node ${exact.stdout.trim() || `${version} could not be installed: ${exact.stderr}`}`)
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const run =
    exact.status === 0
      ? spawnSync('npx', [...node, vitest, 'run', ...forVitest], { cwd: root, stdio: 'inherit' })
      : exact
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  return { node: exact.stdout.trim() || version, result: run.status === 0 ? 'passed' : 'FAILED', seconds }
})

console.log('')
console.table(rows)
process.exitCode = rows.every((row) => row.result === 'passed') ? 0 : 1
