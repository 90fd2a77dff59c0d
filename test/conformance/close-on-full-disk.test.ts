// Closing on a disk that stays full takes as long as closing waits: all sinks do it at the same time.
import { describe } from 'vitest'
import { closeOnFullDisk } from './life.ts'
import { nameOf } from './subject.ts'
import { subjects } from './subjects/index.ts'

describe.concurrent('close on a full disk', { timeout: 60_000 }, () => {
  for (const subject of subjects) describe(nameOf(subject), () => closeOnFullDisk(subject))
})
