// Opening a direct file: past the page cache where the file system allows it, and never through what is no direct file.
import { constants } from 'node:fs'
import { LogboomError, systemCode } from '../../../base/errors.ts'
import { BLOCK_BYTES, encodeFiller, isSealIntact, roundUp, SEAL_BYTES } from '../../../formats/direct-file.ts'
import { detectLayout } from '../../../formats/direct-file-layout.ts'
import type { Disk } from '../../../io/disk.ts'
import { once } from '../../../io/file-mode.ts'
import { cannotSync, type OpenFile, type OpenOptions, openFile } from '../../../io/open-file.ts'
import type { FrameFileOptions } from './flush-target.ts'

const PAGE_BYTES = 4096

export class DirectOpener {
  /** Whether files are written past the page cache. */
  isDirect: boolean
  /** Of offsets, lengths and memory. */
  alignment = BLOCK_BYTES
  readonly #disk: Disk
  readonly #path: string
  readonly #options: FrameFileOptions & Pick<OpenOptions, 'warn'>
  readonly #warn: (code: string, message: string) => void
  /** What refused writes have taught about the alignment. */
  #leastAlignment = BLOCK_BYTES
  #warned = false

  constructor(
    disk: Disk,
    path: string,
    options: FrameFileOptions,
    warn: (code: string, message: string) => void
  ) {
    this.#disk = disk
    this.#path = path
    this.#options = { ...options, warn: once(warn) }
    this.#warn = warn
    this.isDirect = options.directIO !== 'off'
  }

  /** Opens the file; of one that is known the alignment is, too. Throws `ERR_UNSUPPORTED` with `directIO: 'require'`. */
  open(isKnown: (file: OpenFile) => boolean): OpenFile {
    const file = this.#openAsIs()
    if (!this.isDirect || isKnown(file)) return file
    let alignment: number
    try {
      alignment = this.#disk.directAlignment(file.fd)
      if (alignment === -1) this.#fallBack('the file system refuses O_DIRECT')
    } catch (error) {
      file.release()
      throw error
    }
    if (alignment !== -1) {
      // The page size serves where the kernel does not tell.
      this.alignment = Math.max(alignment === 0 ? PAGE_BYTES : alignment, this.#leastAlignment)
      return file
    }
    file.release()
    return this.#openAsIs()
  }

  /** A write was refused although the file could be opened: true if another alignment or the page cache may do. */
  refused(): boolean {
    if (!this.isDirect) return false
    if (this.alignment >= PAGE_BYTES) this.#fallBack('O_DIRECT writes are refused')
    else this.alignment = this.#leastAlignment = PAGE_BYTES
    return true
  }

  #openAsIs(): OpenFile {
    const { sync = true } = this.#options
    const direct = constants.O_DIRECT | (sync ? constants.O_DSYNC : 0)
    const open = () =>
      openFile(this.#disk, this.#path, constants.O_RDWR | (this.isDirect ? direct : 0), this.#options)
    try {
      return open()
    } catch (error) {
      if (!this.isDirect || systemCode(error) !== 'EINVAL') throw error
      this.#fallBack('the file system refuses O_DIRECT')
      return open()
    }
  }

  #fallBack(reason: string): void {
    const path = this.#path
    if (this.#options.directIO === 'require') {
      const message = `directIO: 'require', but for ${path} ${reason}`
      throw new LogboomError('ERR_UNSUPPORTED', message, { path })
    }
    this.isDirect = false
    this.alignment = BLOCK_BYTES
    if (this.#warned) return
    this.#warned = true
    this.#warn('ERR_UNSUPPORTED', `${path}: ${reason}; writing through the page cache with fdatasync`)
  }
}

/** Where the next flush begins. A file written with a smaller alignment is filled up. */
export function fillUp(
  disk: Disk,
  file: OpenFile,
  path: string,
  alignment: number,
  options: OpenOptions
): number {
  const { size } = disk.fstat(file.fd)
  const start = roundUp(size, alignment)
  if (start === size) return size
  const filler = Buffer.alloc(start - size)
  encodeFiller(filler, 0, filler.length)
  // This one write is not aligned, so it cannot go through the O_DIRECT descriptor.
  const plain = openFile(disk, path, constants.O_WRONLY, options)
  try {
    for (let at = 0; at < filler.length; ) {
      at += disk.write(plain.fd, filler, at, filler.length - at, size + at)
    }
    syncFiller(disk, plain.fd)
  } finally {
    plain.release()
  }
  return start
}

/** Where nothing can be synced, the first flush meets that, too. */
function syncFiller(disk: Disk, fd: number): void {
  try {
    disk.fdatasync(fd)
  } catch (error) {
    if (!cannotSync(error)) throw error
  }
}

/** `whole`: ends with a seal; `torn`: a direct file of any layout; `other`: something else. */
export function inspect(disk: Disk, path: string, size: number): 'whole' | 'torn' | 'other' {
  const file = openFile(disk, path, constants.O_RDONLY, { mode: 0, dirMode: 0, mkdir: false })
  try {
    const source = {
      size,
      read: (offset: number, length: number) => {
        const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)))
        let at = 0
        while (at < bytes.length) {
          const count = disk.read(file.fd, bytes, at, bytes.length - at, offset + at)
          if (count === 0) break
          at += count
        }
        return bytes.subarray(0, at)
      }
    }
    if (size % BLOCK_BYTES === 0 && isSealIntact(source.read(size - SEAL_BYTES, SEAL_BYTES))) return 'whole'
    return detectLayout(source) === undefined ? 'other' : 'torn'
  } finally {
    file.release()
  }
}
