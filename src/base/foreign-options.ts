// What options are called in other packages, and what they are here: for the message about an unknown option. Read
// from the code of winston, winston-daily-rotate-file, log4js, streamroller, pino, sonic-boom, pino-roll,
// rotating-file-stream, file-stream-rotator, bunyan and lumberjack, and what logrotate calls them.

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

const PERIOD = "It takes 'hourly', 'daily', 'weekly', 'monthly', 'yearly' or a duration."
const COUNT = "The live file is not counted. For days it is 'maxAge'."
const BYTES = 'A number is bytes.'
const MEGABYTES = "Here a number is bytes; of megabytes say '10m'."
const ALL_BACKUPS = "All backups together are bounded by 'maxTotalBytes'."
export const STANDARD_STREAMS = "for stdout and stderr keep 'pino/file' or winston's Console"

const isText = (value: unknown): boolean => typeof value === 'string'
const isNumber = (value: unknown): boolean => typeof value === 'number'
const isPeriod = (value: unknown): boolean => isText(value) && /^\d+ ?(ms|[smhdw])$/i.test(value as string)
const isSize = (value: unknown): boolean =>
  (isNumber(value) && (value as number) >= 1000) || (isText(value) && /^\d+ ?[kmg]b?$/i.test(value as string))
/** No file is so small, so that another unit must be meant. */
const isFewBytes = (value: unknown): boolean =>
  (isNumber(value) && (value as number) < 1000) || (isText(value) && /^\d{1,3}$/.test(value as string))

/** Rows are looked at in order. */
export const foreignOptions: readonly ForeignOption[] = [
  { names: ['path'], ours: ['dir'] },
  {
    names: ['fd', 'destination', 'dest'],
    ours: ['path', 'dir'],
    hint: `${capital(STANDARD_STREAMS)}.`,
    ifValue: isNumber
  },
  {
    names: ['filename', 'file', 'destination', 'dest', 'fd', 'logFile', 'logPath', 'filePath', 'logName'],
    ours: ['path', 'dir']
  },
  { names: ['base', 'walDir'], ours: ['dir', 'path'] },
  {
    names: ['dirname', 'dir', 'folder', 'directory', 'logDirectory', 'logDir'],
    ours: ['dir', 'path'],
    hint: "'path' is folder and file name together."
  },
  { names: ['property', 'messageKey', 'eventName', 'eventKeys', 'routeBy', 'splitBy'], ours: ['eventKey'] },
  {
    names: ['maxFiles', 'maxOpen'],
    ours: ['maxOpenFiles'],
    hint: "For the backups of each file it is 'maxBackups'."
  },
  { names: ['limit'], ours: ['maxBytes'], hint: BYTES, ifValue: isSize },
  { names: ['maxFiles', 'keep', 'limit', 'retention'], ours: ['maxAge'], ifValue: isPeriod },
  {
    names: ['maxSize', 'size', 'maxFileSize', 'sizeLimit'],
    ours: ['maxBytes'],
    hint: `${MEGABYTES} ${ALL_BACKUPS}`,
    ifValue: isFewBytes
  },
  { names: ['maxSize'], ours: ['maxBytes'], hint: `${BYTES} ${ALL_BACKUPS}` },
  { names: ['threshold'], ours: ['maxBytes'], hint: BYTES },
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
      'keepFiles',
      'rotate',
      'limit',
      'limit.count',
      'count',
      'totalFiles'
    ],
    ours: ['maxBackups'],
    hint: COUNT
  },
  {
    names: ['daysToKeep', 'maxDays', 'retention', 'maxAgeMs', 'retentionDays', 'keepDays'],
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
      'rotationTime',
      'period',
      'when',
      'hourly',
      'daily',
      'weekly',
      'monthly',
      'yearly'
    ],
    ours: ['rotateEvery'],
    hint: PERIOD
  },
  { names: ['schedule', 'cron', 'crontab', 'cronPattern', 'rotateCron'], ours: ['rotateAt'] },
  {
    names: ['minFreeSpace', 'keepFree', 'systemKeepFree', 'minFreeDiskSpace', 'freeSpace', 'reservedBytes'],
    ours: ['minFreeBytes']
  },
  {
    names: [
      'postrotate',
      'onRotate',
      'onRotated',
      'afterRotate',
      'onArchive',
      'postRotation',
      'afterRotation'
    ],
    ours: ['onFinished'],
    hint: "It takes a command; in this process there are the events 'rotated' and 'finished'."
  },
  { names: ['fileHeader', 'headerLine', 'banner', 'preamble', 'firstLine'], ours: ['header'] },
  {
    names: ['utc', 'intervalUTC', 'tz', 'timezoneOffset', 'localTime'],
    ours: ['timeZone'],
    hint: "It takes 'UTC', 'local' or an IANA name."
  },
  {
    names: ['zippedArchive', 'compression', 'gzip', 'zip', 'compressed', 'compressOnRotate', 'archive'],
    ours: ['compress'],
    hint: "It takes 'gzip', 'brotli' or 'zstd'."
  },
  { names: ['compressCmd', 'compressExt'], ours: ['compress'], hint: "It takes 'gzip', 'brotli' or 'zstd'." },
  { names: ['fileMode', 'permissions', 'permission', 'perm', 'options.mode'], ours: ['mode'] },
  {
    names: ['options', 'fileOptions'],
    ours: ['mode'],
    hint: "That is the 'mode' in it; its other fields have no counterpart."
  },
  { names: ['dirPermissions', 'directoryMode', 'folderMode'], ours: ['dirMode'] },
  { names: ['createDir', 'makeDir', 'mkdirp', 'createDirectory'], ours: ['mkdir'] },
  { names: ['fsync', 'sync', 'forceSync'], ours: ['durability'], hint: "With 'disk' records are synced." },
  {
    names: ['periodicFlush', 'flushIntervalMs', 'flushEvery', 'flushPeriod'],
    ours: ['flushInterval']
  },
  {
    names: ['minLength', 'maxWrite', 'contentMode', 'retryEAGAIN', 'autoEnd'],
    ours: [],
    hint: "Leave it out: batches form by themselves, and what the system refuses is tried again. The longest wait is 'flushInterval'."
  },
  {
    names: ['maxLength', 'highWaterMark', 'bufferSize', 'maxBuffer', 'maxQueue'],
    ours: ['maxBufferBytes'],
    hint: "What happens at that bound says 'overflow'."
  },
  { names: ['drop', 'dropPolicy', 'onFull', 'overflowPolicy'], ours: ['overflow'] },
  { names: ['timeout'], ours: ['idleClose', 'lockTimeout'] },
  {
    names: ['tailable', 'symlink', 'createSymlink', 'symlinkName', 'currentFile', 'staticFileName'],
    ours: [],
    hint: 'Leave it out: the live file always keeps its name.'
  },
  {
    names: [
      'auditFile',
      'auditHashType',
      'history',
      'removeOtherLogFiles',
      'limit.removeOtherLogFiles',
      'cleanupOnRotate'
    ],
    ours: [],
    hint: 'Leave it out: retention goes by the names in the folder, also after a restart.'
  },
  {
    names: [
      'missingok',
      'notifempty',
      'ifempty',
      'delaycompress',
      'sharedscripts',
      'copytruncate',
      'minsize',
      'su'
    ],
    ours: [],
    hint: 'Leave it out: the sink rotates by itself, at once, and not an empty file.'
  },
  {
    names: ['endStream', 'rotateExisting'],
    ours: [],
    hint: 'Leave it out: it is always so.'
  },
  {
    names: ['verbose', 'debug'],
    ours: [],
    hint: "Leave it out: what happens are events, 'rotated', 'removed', 'degraded' and 'warning' for example."
  },
  {
    names: ['watchLog', 'watch'],
    ours: [],
    hint: 'Leave it out: files that are moved or removed are always noticed.'
  },
  {
    names: ['lockFile', 'clustering', 'disableClustering', 'pm2', 'pm2InstanceVar', 'cluster', 'instanceVar'],
    ours: [],
    hint: 'Leave it out: any number of processes can share one path.'
  },
  {
    names: ['format', 'pretty', 'prettyPrint'],
    ours: [],
    hint: "Readable lines are an option of the pino targets of this package, format: 'pretty'; elsewhere what a line looks like is up to pino, or to the 'format' of winston's logger."
  },
  {
    names: ['json', 'layout', 'colorize', 'removeColor', 'timestamp', 'showLevel', 'messageFormat'],
    ours: [],
    hint: "Leave it out: what a line looks like is up to pino, or to the 'format' of winston's logger."
  },
  {
    names: ['flags', 'append', 'truncate', 'overwrite', 'clearOnStart'],
    ours: ['truncateOnStart', 'rotateOnStart'],
    hint: "Lines are appended; it begins with an empty file. With 'rotateOnStart' what is there becomes a backup."
  },
  {
    names: ['encoding', 'charset'],
    ours: [],
    hint: 'There is no such option here: text is UTF-8.'
  },
  {
    names: ['eol', 'lazy', 'name', 'escapeNewlines'],
    ours: [],
    hint: "It is an option of the winston transports of this package; elsewhere lines end with '\\n', and files are opened at the start."
  },
  {
    names: [
      'keepFileExt',
      'fileNameSep',
      'dateext',
      'rotationFormat',
      'filenameFormat',
      'fileNamePattern',
      'backupPattern',
      'archiveFileName'
    ],
    ours: ['backupName'],
    hint: "It takes a pattern such as '{stem}-%Y-%m-%d.%i{ext}'."
  },
  {
    names: ['archiveDir', 'archivePath', 'oldDir', 'backupFolder', 'backupPath', 'rotatedDir'],
    ours: ['backupDir']
  },
  {
    names: ['extension', 'omitExtension', 'alwaysIncludePattern', 'generator'],
    ours: [],
    hint: "There is no such option here: the live file is named by its path, and backups as 'backupName' says."
  },
  {
    names: [
      'initialRotation',
      'rotateAtStart',
      'rotateOnStartup',
      'rotateAtStartup',
      'startWithNewFile',
      'startNewFile'
    ],
    ours: ['rotateOnStart']
  },
  {
    names: ['immutable', 'intervalBoundary'],
    ours: [],
    hint: 'There is no such option here: backups are never renamed, and periods are those of the clock.'
  },
  {
    names: ['stream', 'teeToStdout', 'log', 'logv', 'close', 'fs'],
    ours: [],
    hint: "There is no such option here: a second output is a second transport or stream, such as winston's Console."
  },
  {
    names: ['type', 'appenders', 'categories'],
    ours: [],
    hint: 'There is no such option here: levels and categories are those of pino or winston, and the kind is the name of the target or class.'
  },
  {
    names: ['silent', 'handleExceptions', 'handleRejections'],
    ours: [],
    hint: 'It is an option of the winston transports of this package; a target or class writes what it is given.'
  },
  {
    names: ['level', 'levels', 'minLevel'],
    ours: [],
    hint: "In a pino transport it belongs beside 'target', not into 'options'; a class has no level."
  }
]

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
