// No sink without conformance: every kind of the registry and every output of event files has a subject, a pino
// target and a winston transport.
import { createRequire } from 'node:module'
import * as winstonTransports from 'logboom/winston'
import { describe, expect, it } from 'vitest'
import { fileKinds } from '../../src/core/file-kinds.ts'
import { type Kind, sinks } from '../../src/core/registry.ts'
import { nameOf } from './subject.ts'
import { subjects } from './subjects/index.ts'
import { transportClass } from './transport-class.ts'

const kinds = Object.keys(sinks) as Kind[]

describe('every sink of the registry', () => {
  it.each(kinds)('%s runs the conformance suite', (kind) => {
    expect(subjects.filter((subject) => subject.kind === kind).length).toBeGreaterThan(0)
  })

  it('runs it once over each output, if it has outputs', () => {
    const outputs = Object.keys(fileKinds).filter((output) => {
      try {
        sinks['event-files'].check({
          dir: '/nowhere',
          output,
          ...(output === 'binary-file' ? { maxBytes: 1 } : {})
        })
        return true
      } catch (error) {
        // Refused as an output, not for the options it needs.
        return !/option 'output'/.test((error as Error).message)
      }
    })
    const covered = subjects.filter(({ kind }) => kind === 'event-files').map(({ output }) => output)
    expect(outputs.length).toBeGreaterThan(3)
    expect(covered.sort()).toEqual(outputs.sort())
  })

  it('has a test file of its own there', async () => {
    const { readdirSync } = await import('node:fs')
    const files = readdirSync(new URL('.', import.meta.url))
    for (const subject of subjects) {
      const file = [subject.kind, ...(subject.output === undefined ? [] : [subject.output])].join('-')
      expect(files, nameOf(subject)).toContain(`${file}.test.ts`)
    }
  })

  it.each(kinds)('%s is a pino target and a winston transport', (kind) => {
    const require = createRequire(import.meta.url)
    expect(() => require.resolve(`logboom/${kind}`)).not.toThrow()
    expect(winstonTransports).toHaveProperty(transportClass(kind))
  })
})
