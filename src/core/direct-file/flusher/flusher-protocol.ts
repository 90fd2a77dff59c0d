// What the opening thread and the flusher's thread tell each other.
import type { FrameFileOptions } from '../files/flush-target.ts'
import type { KeptRecord } from '../memory/large-records.ts'

export interface FlusherOptions extends FrameFileOptions {
  /** The file, or the folder of a group. */
  readonly path: string
  /** 0: never by time. */
  readonly flushIntervalMs: number
  readonly flushTimeoutMs: number
  /** Room that is to stay free on the file system; 0 for none. */
  readonly minFreeBytes: number
  /** Records begin with the number of their file. */
  readonly group?: {
    readonly maxOpenFiles: number
    readonly idleCloseMs: number
    readonly maxHeldBytes: number
    /** Records of a file that is to be closed are given up when nothing was done for them for so long. */
    readonly stallMs: number
    /** The numbers of files are below this. */
    readonly maxFiles: number
  }
  /** See flush-journal.ts. */
  readonly journal: SharedArrayBuffer
  /** An earlier thread ended in the middle of its work on the same memory. */
  readonly isRestart?: boolean
  /** Records too large for a shard that it had not settled. */
  readonly kept?: readonly KeptRecord[]
}

/** What a group is asked; carried out before anything that is logged later is written. */
export type FlusherRequest =
  | { readonly type: 'add'; readonly tag: number; readonly path: string }
  | { readonly type: 'open'; readonly tag: number }
  | { readonly type: 'close'; readonly tag: number; readonly number: number }
  | { readonly type: 'dropped'; readonly tag: number; readonly count: number }

/** The flusher's ends of its messages. */
export interface FlusherPort {
  send(message: FlusherMessage): void
  /** The next request, if there is one. */
  receive(): FlusherRequest | undefined
}

/** How a file was closed. */
export interface FileClosed {
  /** Records that were given up because nothing could be done for them. */
  readonly lost: number
  /** Records may be left in memory, behind those of other files that cannot be written either. */
  readonly isWaiting: boolean
}

/** What the flusher tells the thread that opened the file. */
export type FlusherMessage =
  | {
      readonly type: 'rotated'
      readonly from: string
      readonly to: string
      readonly bytes: number
      /** Because a write or sync failed, not because the file was full. */
      readonly isQuarantine: boolean
    }
  | {
      readonly type: 'warning' | 'degraded'
      readonly code: string
      readonly message: string
      readonly path: string
    }
  /** Somebody else changed what is at the path. */
  | { readonly type: 'replaced'; readonly message: string; readonly path: string }
  | { readonly type: 'recovered' }
  /** Less is free than has to be: the oldest backups are to be removed. */
  | { readonly type: 'short' }
  /** Accepted records will not be written; how many is counted in the memory. */
  | { readonly type: 'lost' }
  /** Everything logged before flush `number` was asked for is on disk, or counted as lost. */
  | { readonly type: 'flushed'; readonly number: number }
  /** Request 'close' of this number is carried out, as far as it can be. */
  | ({ readonly type: 'fileClosed'; readonly number: number } & FileClosed)
  | { readonly type: 'closed' }
