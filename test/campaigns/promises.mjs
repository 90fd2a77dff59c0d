// What the package promises under faults, and what shows it: tests by file and a part of their name (both must exist, or
// `npm run docs` fails), and the campaign that does it with random numbers and as long as wanted.

export const promises = [
  {
    promise:
      'A writer that is killed costs no acknowledged record, leaves no torn line, and nothing is there twice.',
    tests: [['test/campaigns/files/kill-storm.test.ts', 'lose no acknowledged record and leave no damage']],
    campaign: 'kill-storm'
  },
  {
    promise:
      'The same at each named step of a write, a rotation, a compression, an append to a write-ahead log, a publication.',
    tests: [
      ['test/campaigns/rotating-file/kill.test.ts', 'loses nothing acknowledged'],
      ['test/campaigns/files/upkeep-kills.test.ts', 'killed at'],
      ['test/campaigns/wal/kills.test.ts', 'every failpoint is visited'],
      ['test/campaigns/spool/kills.test.ts', 'no acknowledged record is lost or doubled']
    ],
    campaign: 'kills'
  },
  {
    promise: "With `durability: 'disk'` an acknowledged record survives a cut of power.",
    tests: [['test/campaigns/files/power-storm.test.ts', 'lose no acknowledged record']],
    campaign: 'power-cut'
  },
  {
    promise:
      'With a lane a record survives the death of the process when the call that logged it has returned.',
    tests: [
      ['test/campaigns/lane/deaths.test.ts', 'leaves every record in the log'],
      ['test/campaigns/lane/kills.test.ts', 'lose and repeat nothing']
    ],
    campaign: 'lanes'
  },
  {
    promise:
      'Any failing call on the disk is survived: records wait, go on, and what was acknowledged is there.',
    tests: [
      ['test/conformance/faults.ts', 'survives the failure of'],
      ['test/campaigns/files/call-faults.test.ts', 'cost nothing that goes to']
    ],
    campaign: 'call-faults'
  },
  {
    promise: 'A full disk costs nothing once it has space again; what a policy drops is counted exactly.',
    tests: [
      ['test/campaigns/files/full-disks.test.ts', 'costs nothing'],
      ['test/campaigns/rotating-file/full-disk.test.ts', 'drops a number of records']
    ],
    campaign: 'full-disk'
  },
  {
    promise:
      'A sync that fails loses nothing acknowledged, leaves a bounded number of files, and no backup is removed meanwhile.',
    tests: [['test/conformance/failing-sync.ts', 'leaves a bounded number of copies']],
    campaign: 'failing-sync'
  },
  {
    promise: 'Any number of processes share one file: exactly one rotation for each crossing of the limit.',
    tests: [
      ['test/campaigns/rotating-file/many-writers.test.ts', 'lose, repeat and tear nothing'],
      ['test/campaigns/rotating-file/company.test.ts', 'rotate once for each crossing']
    ],
    campaign: 'rotation-races'
  },
  {
    promise: '`mv`, `rm` and logrotate may take the file away at any moment.',
    tests: [['test/campaigns/rotating-file/outside.test.ts', 'loses nothing']],
    campaign: 'logrotate'
  },
  {
    promise: 'A process that is stopped while it holds the lock is waited for, not robbed.',
    tests: [
      ['test/campaigns/rotating-file/lock-held.test.ts', 'held by a stopped process'],
      ['test/campaigns/files/pauses.test.ts', 'pauses of processes']
    ],
    campaign: 'pauses'
  },
  {
    promise: 'However the process ends, what is in memory is written, or kept in the lane.',
    tests: [['test/campaigns/transports/exit.test.ts', 'lines in one tick through %s are all on disk']],
    campaign: 'exits'
  },
  {
    promise: 'Limits of descriptors, file sizes and memory cost nothing.',
    tests: [['test/campaigns/files/limits.test.ts', 'costs nothing that goes to']],
    campaign: 'limits'
  },
  {
    promise: 'A clock that jumps loses and overwrites nothing.',
    tests: [['test/campaigns/files/clock-jumps.test.ts', 'a clock that jumps costs nothing']],
    campaign: 'clock'
  },
  {
    promise:
      'Other users in the folder cannot have anything written into their files or through their links.',
    tests: [
      ['test/campaigns/files/neighbours.test.ts', 'attacks of another user'],
      ['test/campaigns/rotating-file/refused.test.ts', 'refuses']
    ],
    campaign: 'hostile'
  },
  {
    promise: 'Readers of damaged files never crash, hang, or return a record that fails its check.',
    tests: [['test/readers/hostile-files.test.ts', 'with any bit flipped, cut anywhere']],
    campaign: 'readers'
  },
  {
    promise:
      'A record that is shipped is in the store once, or at least once under one name, as its target says, whoever is killed.',
    tests: [
      ['test/engines/kafka.test.ts', 'every record is there once, in order'],
      ['test/engines/jetstream.test.ts', 'nothing is missing or there twice'],
      ['test/engines/ship.test.ts', 'every record is there'],
      ['test/engines/sources.test.ts', 'every record is there once, in order']
    ],
    campaign: 'engines'
  },
  {
    promise:
      'After any operations of several writers and any deaths the files hold what the model of the kind says.',
    tests: [['test/campaigns/models/model.test.ts', 'leave what the model says']],
    campaign: 'models'
  },
  {
    promise: 'Opened and closed again and again, a sink or transport leaves nothing behind.',
    tests: [['test/campaigns/leaks/leaks.test.ts', 'many lives leave nothing behind']],
    campaign: 'leaks'
  },
  {
    promise: 'All of that at once, for hours.',
    tests: [['test/campaigns/soak/soak.test.ts', 'keeps every record of every kind']],
    campaign: 'soak'
  }
]
