// Runs the same work for all subjects at the same time, where it mostly waits, and makes a test of each.
import { beforeAll, describe, it } from 'vitest'
import { reasonOf } from './known-failing.ts'
import { nameOf, type Subject } from './subject.ts'
import { subjects } from './subjects/index.ts'

/** `work` must not use hooks of the running test, there being none. */
export function allAtOnce(title: string, timeoutMs: number, work: (subject: Subject) => Promise<void>): void {
  const outcomes = new Map<Subject, Promise<unknown>>()
  const reason = (subject: Subject): string | undefined => reasonOf(`${title} ${nameOf(subject)}`)
  describe(title, () => {
    beforeAll(() => {
      for (const subject of subjects) {
        if (reason(subject) !== undefined) continue
        outcomes.set(subject, work(subject).then(succeeded, failed))
      }
    })
    for (const subject of subjects) {
      it(nameOf(subject), { timeout: timeoutMs }, async ({ skip }) => {
        const known = reason(subject)
        if (known !== undefined) skip(known)
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
