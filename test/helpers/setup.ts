// Runs before each test file: random numbers come from one seed, which is told when a test fails; and a test leaves
// nothing in the working folder, whatever names it tries.
import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeEach } from 'vitest'
import { seed, seedRandom } from './random.ts'

fc.configureGlobal({ seed })

beforeEach(({ onTestFailed, task }) => {
  // The count that a title begins with is that of the size: a smaller run is to draw the same numbers.
  seedRandom(task.name.replace(/^\d+ /, ''))
  onTestFailed(() => console.error(`The random numbers of this run again: LOGBOOM_SEED=${seed}`))
})

const before = new Set(readdirSync('.'))

afterAll(() => {
  const left = readdirSync('.').filter((name) => !before.has(name))
  if (left.length > 0)
    throw new Error(`left in ${process.cwd()}: ${left.map((name) => JSON.stringify(name)).join(', ')}`)
})
