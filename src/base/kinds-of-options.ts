// Which kinds of sink have an option: for the message about one that another kind has. (A test compares it with the
// options there are.)

const BACKUPS = 'rotating-file, direct-file and binary-file'

const kinds: Readonly<Record<string, readonly string[]>> = {
  'rotating-file': [
    'rotateEvery',
    'rotateAt',
    'timeZone',
    'header',
    'backupName',
    'backupDir',
    'fsyncOnRotate'
  ],
  [BACKUPS]: ['maxBackups', 'maxAge', 'maxTotalBytes', 'compress', 'minFreeBytes'],
  'rotating-file and binary-file': ['lock', 'lockTimeout', 'statistics', 'rotateOnStart', 'truncateOnStart'],
  'rotating-file, direct-file, binary-file and wal': ['maxRetainedBytes', 'maxRetainedAge', 'finishedWait'],
  'rotating-file and spool': ['prefix'],
  'direct-file': ['bufferSize', 'numShards', 'flushTimeout', 'preallocate', 'directIO'],
  'direct-file and wal': ['instance'],
  wal: ['walDir', 'snapDir', 'syncInterval', 'segmentBytes', 'metadata', 'dumpOnFailure', 'keepSegments'],
  spool: ['temp', 'size', 'workers', 'timeout', 'permission', 'queue'],
  'event-files': ['output', 'eventKey', 'defaultEvent', 'maxOpenFiles', 'idleClose', 'maxEvents']
}

/** Each option that not nearly every kind has → those that do. */
export const kindsOfOptions: ReadonlyMap<string, string> = new Map(
  Object.entries(kinds).flatMap(([owners, names]) => names.map((name) => [name, owners] as const))
)
