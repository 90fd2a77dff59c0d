// The one error class and the one table of error codes. docs/errors.md is generated from the table.

/** What a code means to an operator: what happened, whether data is safe, what to do. */
export interface ErrorEntry {
  readonly what: string
  readonly safe: string
  readonly action: string
}

export const errorTable = {
  ERR_OPTION: {
    what: 'An option is unknown, has the wrong type, is out of range, or contradicts another one.',
    safe: 'Nothing was opened or written.',
    action: 'The message names the option, the rule and the value; correct it.'
  },
  ERR_ARGUMENT: {
    what: 'A method was given a value of a type it does not take, such as a number or an object for a record.',
    safe: 'Nothing of this call was accepted; everything before and after it is not affected.',
    action: 'The message names the method, what it takes and what it got; serialise the value first.'
  },
  ERR_CLOSED: {
    what: 'A method was called on a sink that is closing or closed.',
    safe: 'Everything accepted before `close()` was written; the record of this call was not accepted.',
    action: 'Create a new sink, or stop logging before `close()`.'
  },
  ERR_NOT_FILE: {
    what: 'The path exists but is not a regular file: a folder, FIFO, socket or device.',
    safe: 'Nothing was opened or written.',
    action: 'Choose another path, or move away what is there.'
  },
  ERR_SYMLINK: {
    what: 'The log path or its lock file is a symbolic link. Links are refused: following a planted one would write to a file somebody else chose.',
    safe: 'Nothing was opened or written.',
    action:
      "Give the real path (links in the folders above the file are fine), or remove the link. For stdout and stderr use 'pino/file' or winston's Console."
  },
  ERR_OWNER: {
    what: 'The log file, its lock file or another file of the log belongs to another user (neither the one this process runs as, nor root). In a folder that others can write to it may have been planted to read, change or block the log.',
    safe: 'Nothing was opened or written.',
    action:
      "Give the file to the user of the process, use a folder of its own, or set `foreignOwner: 'allow'` where several users share a log on purpose."
  },
  ERR_CURSOR_LOST: {
    what: 'What a cursor names, or what comes next behind it, is not in the log any more: retention removed its file, another program replaced or cut it, or the log is another one.',
    safe: 'Nothing was changed. Records between the cursor and what is left of the log were not read.',
    action:
      "Begin at 'start' to read what is left. So that it does not happen again, keep backups longer than a reader may need; for a shipper the log does, within its bounds, and `onLost: 'skip'` goes on behind them."
  },
  ERR_TARGET: {
    what: 'What a shipper sends to is refused by its target for good: a whole batch, or more records in a minute than `maxRejected`.',
    safe: 'Nothing was passed over but what is in the file of rejected records; the checkpoint stands before everything else that was not taken.',
    action: "The message has the target's reason; correct the configuration and start the shipper again."
  },
  ERR_LOCK_TIMEOUT: {
    what: 'Another process or thread held the lock of the file, or had claimed it without the native addon, for longer than `lockTimeout`.',
    safe: 'Records wait in memory (within `maxBufferBytes`) and are written as soon as the lock is free.',
    action:
      'Look for a stopped or suspended process that logs to the same file; `logboom info` names the last writer and who has claimed the file. Where the addon is missing, each process needs a path of its own.'
  },
  ERR_IO: {
    what: 'The operating system refused to open, write, sync or rename a file; `cause` is its error.',
    safe: 'Records wait in memory (within `maxBufferBytes`) and are written when the cause is gone; see the `overflow` option for what happens when the bound is reached.',
    action:
      'Remove the cause named in the message (disk full, permissions, file handles); the sink recovers by itself.'
  },
  ERR_SPACE: {
    what: 'Less is free on the file system than `minFreeBytes` says, and no backups of the log are left that could be removed.',
    safe: 'Records wait in memory (within `maxBufferBytes`) and are written when there is room again; see the `overflow` option for what happens when the bound is reached.',
    action: 'Make room on the file system, or lower `minFreeBytes`.'
  },
  ERR_SYNC: {
    what: 'fsync or fdatasync failed. After that the kernel may have dropped the data, and a second sync would lie.',
    safe: 'The file is sealed (rotated aside); records not yet synced are written again to a new file, so a record may be present twice but not lost.',
    action: 'Check the disk.'
  },
  ERR_LOCKED: {
    what: 'Another process, or another sink in this process, has the write-ahead log or the direct file open.',
    safe: 'Nothing was opened or written.',
    action:
      "The message names the owner's process id. Stop it, use another path, or `instance: 'per-process'`. A dead owner blocks nobody."
  },
  ERR_WAL_FAILED: {
    what: 'Writing the log failed, and so did writing the same records to a new segment.',
    safe: 'Every record whose promise resolved is on disk. Those of this promise are not promised to be; they are in the file named by `dumpOnFailure`, if it is set.',
    action:
      'Replace or repair the disk, then open the log again; recovery goes on behind the last acknowledged record.'
  },
  ERR_RETENTION: {
    what: 'Only as a warning: within `maxRetainedBytes` and `maxRetainedAge`, or on a full disk, what a consumer had not got could not be kept and was removed: entries of a write-ahead log, or backups. Or entries could not be removed, because a snapshot that is out or a reader holds them; or a shipper tells that the log does not know of it.',
    safe: 'What the message names is gone, as the bound asks for; everything later is in the log.',
    action:
      'See why the consumer does not come on (`logboom top`), release snapshots sooner, or raise the bound.'
  },
  ERR_INDEX_OVERFLOW: {
    what: 'The log has used up its indices: they end at 2^64 - 1.',
    safe: 'Everything acknowledged is in the log; the records of this call were not accepted.',
    action: 'Begin a new log in another folder.'
  },
  ERR_OVERFLOW: {
    what: 'More records wait to be written than `maxBufferBytes` allows, and `overflow` says to drop them.',
    safe: 'The records of this call were not accepted; they are counted as dropped.',
    action: 'Await the promises of `log`, raise `maxBufferBytes`, or find out why the disk is slow.'
  },
  ERR_LOST: {
    what: 'A sink had to close while its file could not be written.',
    safe: 'The records counted in the message are lost, unless it says that they stay in the lane (see lane.md), from where whoever opens the log next writes them; all others are in the file.',
    action:
      'Remove the cause named in the message; use `durability: "disk"` and await `flush()` where loss matters.'
  },
  ERR_SOURCE: {
    what: 'A Readable given to `Spool.write` failed or was destroyed before its end.',
    safe: 'Nothing of this record is published; all others are not affected.',
    action: '`cause` is the error of the stream.'
  },
  ERR_TOO_LARGE: {
    what: 'A payload is longer than the format can announce (4 294 967 295 bytes), or a batch of a write-ahead log is larger than 1 GiB.',
    safe: 'Nothing of this record was written; all others are not affected.',
    action: 'Split the payload.'
  },
  ERR_UNSUPPORTED: {
    what: 'The option needs the native addon or a system call this platform does not offer.',
    safe: 'Nothing was opened or written.',
    action:
      'The message says what keeps the addon from loading; do what it names, or choose another value of the option.'
  },
  ERR_CORRUPT: {
    what: 'A file does not follow its format: a checksum differs, a length is impossible, a part is missing.',
    safe: 'The file was not modified; all records before the damage are readable.',
    action: 'The message gives file and offset; run `logboom verify`, then `logboom repair`.'
  },
  ERR_EVENT_NAME: {
    what: 'An event name is empty or no text.',
    safe: 'The record of this call was not accepted.',
    action: 'Pass a name.'
  },
  ERR_NO_EVENT: {
    what: 'Statistics were asked for an event that nothing was logged to.',
    safe: 'Nothing happened.',
    action: '`hasEventLogger` and `listEventLoggers` tell which events there are.'
  },
  ERR_LIMIT: {
    what: 'More threads or files were asked for than the sink supports, or than the system starts.',
    safe: 'Everything accepted before is safe; this call did nothing.',
    action: 'The message names the limit; close what is no longer used.'
  },
  ERR_REPLACED: {
    what: 'The file of a running sink was removed, moved, replaced or truncated by somebody else (a warning).',
    safe: 'What was written before went with that file; everything from now on goes to the file at the path.',
    action:
      'Let the sink rotate (`maxBytes`, `rotate()`), or tell it to open the path anew after moving its file.'
  },
  ERR_FORMAT: {
    what: 'The format of a file is not known, or not the one that was asked for.',
    safe: 'Nothing was modified.',
    action: 'Pass the right `format`.'
  },
  ERR_NOT_FOUND: {
    what: 'There is no such file or folder to read.',
    safe: 'Nothing was modified.',
    action: 'Check the path.'
  }
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorTable

export interface LogboomErrorOptions {
  path?: string
  /** Position in the file, in bytes; see `LogboomError.offset`. */
  offset?: number
  cause?: unknown
}

/**
 * The only error class of the package. `code` is a key of the table in docs/errors.md; it is repeated at the
 * end of the message because only the message survives the way from a worker thread to the application.
 */
export class LogboomError extends Error {
  readonly code: ErrorCode
  readonly path: string | undefined
  /** With `ERR_CORRUPT`: where in the (decompressed) file the damage begins, in bytes. */
  readonly offset: number | undefined

  constructor(code: ErrorCode, message: string, options: LogboomErrorOptions = {}) {
    super(`${message} [${code}]`, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'LogboomError'
    this.code = code
    this.path = options.path
    this.offset = options.offset
  }
}

/** The system error code (`ENOSPC`, …) of anything thrown, or undefined. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** Whether the code of a system error says that the process, or the system, has no descriptor left. */
export function isOutOfDescriptors(code: string | undefined): boolean {
  return code === 'EMFILE' || code === 'ENFILE'
}

/** The flags of what Node's permission model refuses, by the names of its errors. */
const permissionFlags: Readonly<Record<string, string>> = {
  FileSystemRead: '--allow-fs-read',
  FileSystemWrite: '--allow-fs-write',
  WorkerThreads: '--allow-worker',
  ChildProcess: '--allow-child-process'
}

/** What Node says of its permission model names neither the file nor, up to Node 20, the flag; its error has both. */
function permissionMessage(error: Error): string | undefined {
  const { permission, resource } = error as { permission?: unknown; resource?: unknown }
  const flag = typeof permission === 'string' ? permissionFlags[permission] : undefined
  if (flag === undefined) return undefined
  const what = typeof resource === 'string' && resource !== '' ? resource : 'it'
  return `Node's permission model refuses ${what}; the flag ${flag} allows it`
}

/** The text of anything thrown. */
export function errorMessage(error: unknown): string {
  try {
    return error instanceof Error ? (permissionMessage(error) ?? error.message) : String(error)
  } catch {
    // Whatever can be thrown is told, also what answers nothing.
    return 'an error without a message'
  }
}
