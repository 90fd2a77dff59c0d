// Runs before each test file: random numbers come from one seed, which is told when a test fails.
import fc from 'fast-check'
import { beforeEach } from 'vitest'
import { seed, seedRandom } from './random.ts'

fc.configureGlobal({ seed })

beforeEach(({ onTestFailed, task }) => {
  // The count that a title begins with is that of the size: a smaller run is to draw the same numbers.
  seedRandom(task.name.replace(/^\d+ /, ''))
  onTestFailed(() => console.error(`The random numbers of this run again: LOGBOOM_SEED=${seed}`))
})
