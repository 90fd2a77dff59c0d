// The campaigns: what each provokes, and which tests it is made of. A test file of this folder that no campaign names makes
// catalog.test.ts fail.

const here = 'test/campaigns'

/** `only` picks tests by their names, `env` is given to them. */
export const campaigns = {
  kills: {
    what: 'SIGKILL at random moments and at each named step, for every kind of sink and every transport',
    files: [
      `${here}/files/kill-storm.test.ts`,
      `${here}/files/upkeep-kills.test.ts`,
      `${here}/files/finished-kills.test.ts`,
      `${here}/rotating-file/kill.test.ts`,
      `${here}/rotating-file/finished.test.ts`,
      `${here}/binary-file/kills.test.ts`,
      `${here}/spool/kills.test.ts`,
      `${here}/wal/kills.test.ts`,
      `${here}/transports/kills.test.ts`
    ]
  },
  'kill-storm': {
    what: 'only the random kills of every kind of sink, 300 each',
    files: [`${here}/files/kill-storm.test.ts`]
  },
  'power-cut': {
    what: 'power cuts on ext4 and XFS for every kind of sink: what is not durable is gone',
    files: [
      `${here}/files/power-storm.test.ts`,
      `${here}/files/power-cut.test.ts`,
      `${here}/wal/power-cut.test.ts`
    ]
  },
  'disk-faults': {
    what: 'the n-th call of every operation of the injected disk fails, n = 1, 2, 3 …, once and for a while',
    files: ['test/conformance/'],
    only: 'survives the failure of'
  },
  'call-faults': {
    what: 'the n-th real system call of a process fails (LD_PRELOAD), for every kind of sink',
    files: [`${here}/files/call-faults.test.ts`]
  },
  'full-disk': {
    what: 'a disk that is full, without inodes or read-only, and works again',
    files: [
      `${here}/files/full-disks.test.ts`,
      `${here}/rotating-file/full-disk.test.ts`,
      `${here}/lane/no-room.test.ts`,
      'test/conformance/close-on-full-disk.test.ts'
    ]
  },
  'failing-sync': {
    what: 'syncs that fail: once, for a while, for good',
    files: ['test/conformance/', 'test/core/shared-file/', 'test/core/wal/', 'test/core/direct-file/'],
    only: 'sync'
  },
  'rotation-races': {
    what: 'many processes at the limit at once, short-lived ones, with different options, at old backups',
    files: [`${here}/rotating-file/many-writers.test.ts`, `${here}/rotating-file/company.test.ts`]
  },
  logrotate: {
    what: 'mv, rm, copytruncate and logrotate itself while four processes write',
    files: [`${here}/rotating-file/outside.test.ts`]
  },
  pauses: {
    what: 'SIGSTOP and SIGCONT at any moment, also of who holds the lock',
    files: [
      `${here}/files/pauses.test.ts`,
      `${here}/rotating-file/lock-held.test.ts`,
      `${here}/lane/living.test.ts`
    ]
  },
  exits: {
    what: 'every way a process can end, with records in memory',
    files: [
      `${here}/transports/exit.test.ts`,
      `${here}/transports/exit-kinds.test.ts`,
      `${here}/lane/deaths.test.ts`,
      'test/conformance/process-ends.test.ts'
    ]
  },
  limits: {
    what: 'limits of descriptors, of the size of files and of memory (cgroup)',
    files: [`${here}/files/limits.test.ts`]
  },
  clock: {
    what: 'a clock that jumps, hours that are there twice, rotations in the same second',
    files: [`${here}/files/clock-jumps.test.ts`, 'test/core/rotating-file/period.test.ts']
  },
  hostile: {
    what: 'links, other users, devices and odd names at the places of a log',
    files: [
      `${here}/files/neighbours.test.ts`,
      `${here}/rotating-file/refused.test.ts`,
      'test/core/shared-file/trust.test.ts',
      'test/readers/hostile-files.test.ts'
    ]
  },
  readers: {
    what: 'readers of damaged files: every length, every flipped bit, anything else at random',
    files: ['test/formats/', 'test/readers/', 'test/core/wal/damage.test.ts']
  },
  lanes: {
    what: 'records in memory that outlives the process: kills, threads that end, races of owners, damage',
    files: [`${here}/lane/`, `${here}/native/`, 'test/core/lane/']
  },
  shippers: { what: 'sending a log elsewhere: kills, refusals, damaged checkpoints', files: ['test/ship/'] },
  engines: {
    what: 'real servers that are shipped to, got by scripts/engines.mjs: shippers and servers killed, bad networks, full disks, 1 GB',
    files: ['test/engines/'],
    env: { LOGBOOM_ALL_ENGINES: '1' }
  },
  models: {
    what: 'random operations of several writers, with crashes, against a model of what may be on disk',
    files: [`${here}/models/`]
  },
  leaks: {
    what: '10 000 lives of every sink and transport: descriptors, threads, locks, memory, listeners, files',
    files: [`${here}/leaks/`]
  },
  soak: {
    what: 'every kind in turn, faults at random, for as long as --minutes says',
    files: [`${here}/soak/`],
    /** Its own clock: one run takes all the minutes. */
    takesMinutes: 'LOGBOOM_SOAK_MINUTES'
  }
}
