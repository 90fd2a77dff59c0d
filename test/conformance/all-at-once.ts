// Runs the same work for all subjects at the same time, where it mostly waits, and makes a test of each.
import { beforeAll, describe, it } from 'vitest'
import { nameOf, type Subject } from './subject.ts'
import { subjects } from './subjects/index.ts'

/** `work` must not use hooks of the running test, there being none. */
export function allAtOnce(title: string, timeoutMs: number, work: (subject: Subject) => Promise<void>): void {
  const outcomes = new Map<Subject, Promise<unknown>>()
  describe(title, () => {
    beforeAll(() => {
      for (const subject of subjects) outcomes.set(subject, work(subject).then(succeeded, failed))
    })
    for (const subject of subjects) {
      it(nameOf(subject), { timeout: timeoutMs }, async () => {
        const error = await outcomes.get(subject)
        if (error !== undefined) throw error
      })
    }
  })
}

function succeeded(): undefined {
  return undefined
}

function failed(error: unknown): unknown {
  return error ?? new Error('rejected with nothing')
}
