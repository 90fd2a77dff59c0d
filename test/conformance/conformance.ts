// The contract of all sinks (src/core/sink/contract.ts) as tests. Each subject runs all of them.
import { describe } from 'vitest'
import { argumentTests } from './arguments.ts'
import { failedTests } from './failed.ts'
import { failingSyncTests } from './failing-sync.ts'
import { faultTests } from './faults.ts'
import { lifeTests } from './life.ts'
import { outsideTests } from './outside.ts'
import { overflowTests } from './overflow.ts'
import { recordTests } from './records.ts'
import { nameOf, type Subject } from './subject.ts'

export function conformance(subject: Subject): void {
  describe(`${nameOf(subject)}:`, async () => {
    recordTests(subject)
    argumentTests(subject)
    overflowTests(subject)
    lifeTests(subject)
    outsideTests(subject)
    failingSyncTests(subject)
    failedTests(subject)
    await faultTests(subject)
  })
}
