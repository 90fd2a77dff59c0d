// Runs before each test file: random numbers come from one seed, which is told when a test fails; and a test leaves
// nothing behind: not in the working folder, whatever names it tries, nor in the folders for temporary files, and no
// process.
import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeEach } from 'vitest'
import { clearLeftovers } from './leftovers.ts'
import { seed, seedRandom } from './random.ts'

fc.configureGlobal({ seed })

beforeEach(({ onTestFailed, task }) => {
  seedRandom(task.name)
  onTestFailed(() => console.error(`The random numbers of this run again: LOGBOOM_SEED=${seed}`))
})

const before = new Set(readdirSync('.'))

// The first hook that is registered is the last one that runs.
afterAll(async () => {
  const here = readdirSync('.').filter((name) => !before.has(name))
  const left = [...here.map((name) => JSON.stringify(name)), ...(await clearLeftovers())]
  if (left.length > 0) throw new Error(`left by the tests of this file:\n${left.join('\n')}`)
})
