// What options are called in other packages, and what they are here: for the message about an unknown option. Read
// from the code of winston, winston-daily-rotate-file, log4js, streamroller, pino, sonic-boom, pino-roll and
// rotating-file-stream.

export interface ForeignOption {
  /** Its names elsewhere; case, `_` and `-` do not matter. */
  readonly names: readonly string[]
  /** Ours, best first; the first one that the sink has is meant. Empty where there is nothing of the kind. */
  readonly ours: readonly string[]
  /** A sentence more. */
  readonly hint?: string
  /** The same with a look at the value; undefined where another row fits better. */
  readonly ifValue?: (value: unknown) => boolean
}

const PERIOD = "It takes 'hourly', 'daily', 'weekly' or a duration."
const COUNT = 'The live file is not counted.'
const BYTES = 'A number is bytes.'
const STANDARD_STREAMS = "For stdout and stderr keep 'pino/file' or winston's Console."
const NEVER_DATED =
  'Leave it out: the live file always keeps its name, and retention goes by the names in the folder.'
const NOTHING_LIKE_IT = 'There is no such option here: names of backups, line ends and encoding are fixed.'

const isText = (value: unknown): boolean => typeof value === 'string'
const isNumber = (value: unknown): boolean => typeof value === 'number'
const isPeriod = (value: unknown): boolean => isText(value) && /^\d+ ?(ms|[smhdw])$/i.test(value as string)
const isSize = (value: unknown): boolean =>
  (isNumber(value) && (value as number) >= 1000) || (isText(value) && /^\d+ ?[kmg]b?$/i.test(value as string))

/** Rows are looked at in order. */
export const foreignOptions: readonly ForeignOption[] = [
  { names: ['fd', 'destination', 'dest'], ours: ['path', 'dir'], hint: STANDARD_STREAMS, ifValue: isNumber },
  {
    names: ['filename', 'file', 'destination', 'dest', 'fd', 'logFile', 'logPath', 'filePath'],
    ours: ['path', 'dir']
  },
  { names: ['base', 'walDir'], ours: ['dir'] },
  {
    names: ['dirname', 'dir', 'folder', 'directory', 'logDirectory', 'logDir'],
    ours: ['dir', 'path'],
    hint: "'path' is folder and file name together."
  },
  { names: ['property'], ours: ['eventKey'] },
  {
    names: ['maxFiles', 'maxOpen'],
    ours: ['maxOpenFiles'],
    hint: "For the backups of each file it is 'maxBackups'."
  },
  { names: ['limit'], ours: ['maxBytes'], hint: BYTES, ifValue: isSize },
  { names: ['maxFiles', 'keep', 'limit', 'retention'], ours: ['maxAge'], ifValue: isPeriod },
  {
    names: ['maxSize'],
    ours: ['maxBytes'],
    hint: `${BYTES} All backups together are bounded by 'maxTotalBytes'.`
  },
  {
    names: ['size', 'maxLogSize', 'maxFileSize', 'maxByte', 'sizeLimit', 'segmentBytes', 'segmentSize'],
    ours: ['maxBytes'],
    hint: BYTES
  },
  {
    names: [
      'maxFiles',
      'backups',
      'numBackups',
      'numToKeep',
      'maxLogs',
      'backupCount',
      'keep',
      'rotate',
      'limit',
      'count'
    ],
    ours: ['maxBackups'],
    hint: `${COUNT} For days it is 'maxAge'.`
  },
  {
    names: ['daysToKeep', 'maxDays', 'retention', 'maxAgeMs', 'retentionDays'],
    ours: ['maxAge'],
    hint: "It takes a duration such as '14d'; a number of files is 'maxBackups'."
  },
  { names: ['totalSize', 'maxTotalSize', 'totalSizeCap'], ours: ['maxTotalBytes'] },
  {
    names: [
      'frequency',
      'interval',
      'datePattern',
      'dateFormat',
      'pattern',
      'rotation',
      'rotationInterval',
      'rotateInterval',
      'when'
    ],
    ours: ['rotateEvery'],
    hint: PERIOD
  },
  {
    names: ['utc', 'intervalUTC', 'tz', 'timezoneOffset', 'localTime'],
    ours: ['timeZone'],
    hint: "It takes 'UTC', 'local' or an IANA name."
  },
  {
    names: ['zippedArchive', 'compression', 'gzip', 'zip', 'compressed', 'compressOnRotate'],
    ours: ['compress'],
    hint: "It takes 'gzip', 'brotli' or 'zstd'."
  },
  { names: ['fileMode', 'permissions', 'permission', 'perm'], ours: ['mode'] },
  {
    names: ['options'],
    ours: ['mode'],
    hint: "That is 'options.mode'; its other fields have no counterpart."
  },
  { names: ['dirPermissions', 'directoryMode', 'folderMode'], ours: ['dirMode'] },
  { names: ['createDir', 'makeDir', 'mkdirp', 'createDirectory'], ours: ['mkdir'] },
  { names: ['fsync', 'sync'], ours: ['durability'], hint: "With 'disk' records are synced." },
  {
    names: ['periodicFlush', 'flushIntervalMs', 'flushEvery', 'flushPeriod'],
    ours: ['flushInterval']
  },
  {
    names: ['maxLength', 'highWaterMark', 'bufferSize', 'maxBuffer', 'maxQueue', 'minLength'],
    ours: ['maxBufferBytes'],
    hint: "What happens at that bound says 'overflow'."
  },
  { names: ['drop', 'dropPolicy', 'onFull', 'overflowPolicy'], ours: ['overflow'] },
  { names: ['timeout'], ours: ['idleClose'] },
  {
    names: [
      'tailable',
      'symlink',
      'createSymlink',
      'symlinkName',
      'watchLog',
      'auditFile',
      'auditHashType',
      'history',
      'json',
      'lockFile',
      'clustering',
      'disableClustering',
      'pm2'
    ],
    ours: [],
    hint: NEVER_DATED
  },
  {
    names: [
      'extension',
      'keepFileExt',
      'fileNameSep',
      'omitExtension',
      'rotationFormat',
      'alwaysIncludePattern',
      'immutable',
      'initialRotation',
      'intervalBoundary',
      'eol',
      'lazy',
      'flags',
      'append',
      'encoding',
      'stream',
      'teeToStdout',
      'name',
      'layout'
    ],
    ours: [],
    hint: NOTHING_LIKE_IT
  },
  {
    names: ['level'],
    ours: [],
    hint: "In a pino transport it belongs beside 'target', not into 'options'; a class has no level."
  }
]

const periods: Readonly<Record<string, string>> = {
  hour: 'hourly',
  hours: 'hourly',
  day: 'daily',
  date: 'daily',
  midnight: 'daily',
  week: 'weekly'
}

const compressions: Readonly<Record<string, string>> = {
  gz: 'gzip',
  zip: 'gzip',
  br: 'brotli',
  zst: 'zstd',
  zstandard: 'zstd'
}

/** What a value that was refused is spelt like here; undefined if there is no telling. */
export function similarValue(name: string, value: unknown): string | undefined {
  const text = isText(value) ? (value as string).toLowerCase() : undefined
  if (name === 'compress') return value === true ? "'gzip'" : quoted(compressions, text)
  if (name === 'rotateEvery') return quoted(periods, text)
  if (name === 'durability' && value === true) return "'disk'"
  if (name === 'overflow' && (text === 'drop' || text === 'discard')) return "'drop-newest'"
  if (name === 'directIO' && typeof value === 'boolean') return value ? "'require'" : "'off'"
  if (name === 'fallback' && value === true) return "'stderr'"
  const isOctal = /mode$|^permission$/i.test(name) && isNumber(value) && /^[0-7]{3}$/.test(String(value))
  if (isOctal) return `0o${value}`
  const binary = text === undefined ? null : /^(\d+(?:\.\d+)?) ?([kmg])ib$/.exec(text)
  return binary === null ? undefined : `'${binary[1]}${binary[2]}'`
}

function quoted(table: Readonly<Record<string, string>>, text: string | undefined): string | undefined {
  const ours = text !== undefined && Object.hasOwn(table, text) ? table[text] : undefined
  return ours === undefined ? undefined : `'${ours}'`
}
