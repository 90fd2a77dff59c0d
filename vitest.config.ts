// The projects: `unit` is pure logic and formats and takes seconds; `suite` is the rest of the normal run. With
// LOGBOOM_LONG=1 `long` stands in for `suite`: the same tests with campaigns, kills and sweeps at their full size, and
// what is tried with the frameworks, compilers and tools of users.
import { randomInt } from 'node:crypto'
import { defineConfig } from 'vitest/config'

const unit = [
  'test/base/**/*.test.ts',
  'test/io/**/*.test.ts',
  'test/formats/**/*.test.ts',
  'test/native/**/*.test.ts',
  'test/core/queue/**/*.test.ts',
  'test/core/sink/**/*.test.ts',
  'test/core/rotating-file/period.test.ts',
  'test/core/event-files/{event-buffer,names}.test.ts',
  'test/core/wal/commit-queue.test.ts',
  'test/readers/snapshot.test.ts',
  'test/bench-*.test.ts'
]

/** Installations, compilers and servers of all kinds: minutes. */
const longOnly = ['test/adoption/!(quick|recipes).test.ts']

const isLong = process.env.LOGBOOM_LONG === '1'
const seed = process.env.LOGBOOM_SEED ?? String(randomInt(2 ** 31))
// Read by the setup file in each test process, and by what the tests start.
process.env.LOGBOOM_SEED = seed

export default defineConfig({
  test: {
    // What goes on is not ended for being slow: machines may be busy.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // Twice as many as the smallest machines have cores: about half of the time of the suite is waiting.
    maxWorkers: 4,
    // The build is loaded as users load it: rewritten by the runner, a module would be there twice.
    server: { deps: { external: [/\/dist\/.+\.c?js$/] } },
    globalSetup: ['test/helpers/global-setup.ts'],
    setupFiles: ['test/helpers/setup.ts'],
    projects: [
      { extends: true, test: { name: 'unit', include: unit } },
      {
        extends: true,
        test: {
          name: isLong ? 'long' : 'suite',
          include: ['test/**/*.test.ts'],
          exclude: isLong ? unit : [...unit, ...longOnly]
        }
      }
    ]
  }
})
