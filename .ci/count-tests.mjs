// Prints `N passed, N failed` over the suites whose JSON reports are in a folder. A step that failed without a
// failing test counts as one failure. Usage: node .ci/count-tests.mjs <exit status> <folder>
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const [status, folder] = process.argv.slice(2)
const reports = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => [name, JSON.parse(readFileSync(join(folder, name), 'utf8'))])

let passed = 0
let failed = 0
let conformance = 0
for (const [name, report] of reports) {
  passed += report.numPassedTests
  failed += report.numFailedTests
  for (const suite of report.testResults) {
    if (suite.name.includes('/test/conformance/')) {
      conformance += suite.assertionResults.filter(({ status }) => status === 'passed').length
    }
    for (const test of suite.assertionResults) {
      if (test.status === 'failed') console.log(`failed (${name}): ${test.fullName}`)
    }
  }
}
console.log(`${conformance} of the tests that passed are conformance tests`)
if (status !== '0' && failed === 0) failed = 1
console.log(`${passed} passed, ${failed} failed`)
