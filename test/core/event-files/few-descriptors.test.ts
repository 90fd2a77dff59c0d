// More events than the process may have files open: what it does at its end, on one thread, writes everything all the same; a
// flush that cannot says so, and loses nothing.
import { describe, expect, test } from 'vitest'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { works } from '../../helpers/mount.ts'
import { collect } from '../../helpers/read.ts'
import { runScript } from '../../helpers/run-script.ts'
import { built } from '../../helpers/script.ts'
import { isLong } from '../../helpers/sized.ts'

const EVENTS = isLong ? 100 : 40
/** Node takes some twenty for itself. */
const LIMIT = 45

const code = `
import { LoggerManager } from ${built('index.js')}
const [dir, options, times, end] = process.argv.slice(1)
const manager = new LoggerManager({ dir, fallback: 'stderr', ...JSON.parse(options) })
for (let time = 0; time < Number(times); time++) {
  for (let event = 0; event < ${EVENTS}; event++) manager.logWithEvent('event' + event, time + ' of ' + event)
  if (time + 1 < Number(times)) await new Promise((resolve) => setTimeout(resolve, 60))
}
if (end === 'exit') process.exit(0)
try {
  manager.flushSync(end)
} catch (error) {
  // What is on its way out gives its descriptors back only when this thread is free again; it says so, and keeps everything.
  if (!/EMFILE|in use by another sink/.test(error.message)) throw error
  await manager.flush(end)
}
await manager.close()
`

const outputs = [
  ['rotating-file', {}],
  ['rotating-file', { maxBackups: 3, maxBytes: 10, statistics: true }],
  ['binary-file', { maxBytes: '1m' }],
  ['direct-file', { bufferSize: '1m' }],
  ['wal', { segmentBytes: 65_536 }]
] as const

const ends = [
  ['process.exit() right after logging', 'exit', 1],
  ['process.exit() in the middle of things', 'exit', 2],
  ['flushSync()', 'os', 1],
  ["flushSync('disk')", 'disk', 2]
] as const

describe.skipIf(!works('prlimit', '--version'))('with few descriptors (needs prlimit)', () => {
  for (const backend of native.backend === 'addon'
    ? (['addon', 'fallback'] as const)
    : (['fallback'] as const)) {
    for (const [index, [output, more]] of outputs.entries()) {
      // All of them in the long run; else each end is met, and each output.
      for (const [title, end, times] of isLong
        ? ends
        : [ends[(index + (backend === 'addon' ? 0 : 1)) % ends.length]]) {
        for (const durability of isLong || end === 'disk' ? (['os', 'disk'] as const) : (['os'] as const)) {
          const name = `${title} writes all to ${output} ${JSON.stringify(more)}, ${durability}, with the ${backend}`
          test(name, { timeout: 60_000 }, async () => {
            const dir = createFolder()
            const options = JSON.stringify({ output, durability, ...more })
            const ended = await runScript(code, [dir, options, String(times), end], [], {
              env: { LOGBOOM_NATIVE: backend === 'addon' ? '1' : '0' },
              wrapper: ['prlimit', `--nofile=${LIMIT}`]
            })
            const { lines, error } = await collect(dir)
            const expected = Array.from({ length: times }, (_, time) =>
              Array.from({ length: EVENTS }, (_, event) => `${time} of ${event}`)
            ).flat()
            expect({ code: ended.code, error: error?.message }, ended.stderr).toEqual({
              code: 0,
              error: undefined
            })
            expect(lines.sort()).toEqual(expected.sort())
          })
        }
      }
    }
  }
})
