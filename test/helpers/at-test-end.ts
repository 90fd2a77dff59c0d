// Cleaning up after a test, also after tests that run at the same time: vitest's own hook does not know which of those
// has called it.
import { AsyncLocalStorage } from 'node:async_hooks'
import { onTestFinished, type TestContext } from 'vitest'
import { withRandom } from './random.ts'

type Hook = TestContext['onTestFinished']

const running = new AsyncLocalStorage<Hook>()

/** `onTestFinished` of the test that is running here. */
export const atTestEnd: Hook = (...args) => (running.getStore() ?? onTestFinished)(...args)

/**
 * The work of a test that runs at the same time as others, because it mostly waits: for `it.concurrent`. It has random
 * numbers of its own, too.
 */
export function together(work: () => Promise<void>): (context: TestContext) => Promise<void> {
  return (context) => runApart(context, work)
}

/** The same for `it.concurrent.for`. */
export function togetherFor<T>(
  work: (each: T) => Promise<void>
): (each: T, context: TestContext) => Promise<void> {
  return (each, context) => runApart(context, () => work(each))
}

function runApart({ onTestFinished: hook, task }: TestContext, work: () => Promise<void>): Promise<void> {
  return running.run(hook, () => withRandom(task.name, work))
}
