// The safeguards: what each protects, what has to be changed to take it out, and which tests are to fail then.

const sharedFile = 'src/core/shared-file/shared-file.ts'
const pump = 'src/core/sink/pump.ts'

export const safeguards = {
  'close-waits': {
    what: '`close()` of direct and event files waits for what was accepted',
    changes: [{ file: pump, from: '      this.#target.isStaging\n    )', to: '      false\n    )' }],
    tests: ['test/core/direct-file/close.test.ts', 'test/core/event-files/file-outputs.test.ts']
  },
  'flush-of-all-events': {
    what: '`flush()` resolves only when it is true for every event',
    changes: [
      {
        file: 'src/core/event-files/file-outputs.ts',
        from: "    for (const result of results) if (result.status === 'rejected') throw result.reason\n",
        to: ''
      }
    ],
    tests: ['test/core/event-files/file-outputs.test.ts', 'test/core/event-files/direct-outputs.test.ts']
  },
  'one-event': {
    what: "one event's trouble costs only that event",
    changes: [
      {
        file: 'src/core/direct-file/files/group-file.ts',
        from: 'if (error === undefined || this.#keep(part, member, error)) continue',
        to: 'if (error === undefined) continue'
      }
    ],
    tests: ['test/core/event-files/direct-outputs.test.ts']
  },
  'failed-sync': {
    what: 'a failed sync backs off and probes the disk, so files stay bounded, and no backup is removed meanwhile',
    changes: [
      { file: 'src/core/sink/suspect-file.ts', from: '    this.#target.probe?.()\n', to: '' },
      {
        file: 'src/core/shared-file/shared-file-target.ts',
        from: 'isPaused: () => this.#isSyncFailing',
        to: 'isPaused: () => false'
      }
    ],
    tests: ['test/conformance/rotating-file.test.ts'],
    only: 'a sync that fails for a while'
  },
  'wal-batch': {
    what: 'the batch of a write-ahead log is checked and copied before it is taken',
    changes: [
      {
        file: 'src/core/wal/batch.ts',
        from: '  return { records, bytes }',
        to: '  return { records: batch, bytes }'
      }
    ],
    tests: ['test/core/wal/batches.test.ts']
  },
  repair: {
    what: 'what a dead writer left unfinished is repaired before anything is appended',
    changes: [{ file: sharedFile, from: 'if (this.#state.writing) this.#repair()', to: '' }],
    tests: ['test/campaigns/rotating-file/kill.test.ts']
  },
  'intent-note': {
    what: 'a write is noted in the lock file before it is made, so that who repairs knows which bytes are in doubt',
    changes: [{ file: sharedFile, from: '    state.writing = true\n', to: '    state.writing = false\n' }],
    tests: ['test/campaigns/rotating-file/kill.test.ts']
  },
  'folder-sync': {
    what: 'the folder of a new or renamed file is synced before anything in it is acknowledged',
    changes: [{ file: 'src/io/steps.ts', from: '  if (!hasFolderSync) return\n', to: '  return\n' }],
    tests: ['test/core/direct-file/durable-names.test.ts', 'test/core/event-files/closed-files.test.ts']
  },
  'lane-adoption': {
    what: 'who opens a log takes over and writes what the dead have left in their lanes',
    changes: [
      {
        file: 'src/core/lane/adopter.ts',
        from: '        if (source === undefined) continue\n',
        to: '        continue\n'
      }
    ],
    tests: ['test/campaigns/lane/deaths.test.ts']
  },
  'lane-note': {
    what: 'a ring notes how far its records are in the file, so that none is written twice after a death',
    changes: [{ file: sharedFile, from: '      journal.appended(end - start)\n', to: '' }],
    tests: ['test/campaigns/lane/kills.test.ts'],
    only: 'a kill at'
  },
  lock: {
    what: 'writers of one file take a kernel lock for each turn',
    changes: [
      {
        file: 'src/core/shared-file/kernel-lock.ts',
        from: 'if (!this.#disk.lock(file.fd, writeSlot, waitMs)) return undefined',
        to: ''
      }
    ],
    tests: ['test/campaigns/rotating-file/many-writers.test.ts'],
    only: 'of the class lose, repeat and tear nothing'
  },
  'sync-before-acknowledgement': {
    what: "with `durability: 'disk'` a record is acknowledged only behind a sync",
    changes: [
      {
        file: sharedFile,
        from: '      await this.#disk.fdatasyncAsync(file.fd)\n',
        to: ''
      },
      { file: sharedFile, from: '      this.#disk.fdatasync(file.fd)\n', to: '' }
    ],
    tests: ['test/conformance/rotating-file.test.ts'],
    only: 'comes after a sync'
  }
}
