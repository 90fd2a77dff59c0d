// What a worker needs of its spool.
import type { Steps } from '../../io/steps.ts'
import type { SpoolManifest } from './manifest.ts'
import type { Extent, SpoolFolders } from './temp-file.ts'

export interface WorkerHost {
  readonly folders: SpoolFolders
  readonly prefix: string
  /** Bytes at which a file is published. */
  readonly size: number
  /** The manifest, present as long as there is a temp file; undefined where the platform has no locks. */
  manifest(): SpoolManifest | undefined
  /** The manifest that speaks for the temp file of a worker, if it has one; others are removed when nobody needs them. */
  usesManifest(worker: number, manifest: SpoolManifest | undefined): void
  /** It may not be on disk, whatever a second sync says. */
  distrustManifest(manifest: SpoolManifest): void
  /** Names temp files where there are no manifests. */
  readonly instance: string
  /** Temp files are on another file system. */
  readonly isCopying: boolean
  /** The number of the next temp file. */
  nextNumber(): number
  published(from: string, to: string, content: Extent): void
  lost(records: number, bytes: number, reason: string): void
  /** Makes durable what is published, as far as it has to be. Throws what stands in the way, to be asked again. */
  syncPublished(): Steps<void>
  /** A published file could not be made durable so far. */
  unsynced(error: unknown): void
}
