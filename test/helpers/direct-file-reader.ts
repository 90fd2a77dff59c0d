// Reads direct files from disk, for tests.
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { groupBackups } from '../../src/formats/backup-name.ts'
import { type DirectItem, decodeDirectFile } from '../../src/formats/direct-file-decoder.ts'

export interface FileContent {
  damage: Extract<DirectItem, { type: 'damage' }>[]
  /** Sums over all intact seals. */
  sealedRecords: number
  sealedDropped: number
  flushes: number
  records: number
  size: number
}

/** Passes each record of the file to `take`; `record` is only valid during the call. */
export function readDirectFile(path: string, take: (record: Buffer) => void = () => {}): FileContent {
  const fd = openSync(path, 'r')
  const { size } = fstatSync(fd)
  const content: FileContent = {
    damage: [],
    sealedRecords: 0,
    sealedDropped: 0,
    flushes: 0,
    records: 0,
    size
  }
  const source = {
    size,
    read(offset: number, length: number) {
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)))
      readSync(fd, bytes, 0, bytes.length, offset)
      return bytes
    }
  }
  for (const item of decodeDirectFile(source)) {
    if (item.type === 'damage') content.damage.push(item)
    else if (item.type === 'seal') {
      content.sealedRecords += Number(item.seal.records)
      content.sealedDropped += Number(item.seal.dropped)
      content.flushes++
    } else {
      content.records += item.bounds.length / 2
      for (let i = 0; i < item.bounds.length; i += 2) {
        take(item.bytes.subarray(item.bounds[i], item.bounds[i + 1]) as Buffer)
      }
    }
  }
  closeSync(fd)
  return content
}

/** Paths of the backups of `path`, oldest first, and of the file itself. */
export function directFiles(path: string): string[] {
  const folder = dirname(path)
  const backups = groupBackups(basename(path), readdirSync(folder)).map(({ name }) => join(folder, name))
  return [...backups, path]
}

/** All records as text. */
export function readTexts(path: string): string[] {
  const texts: string[] = []
  readDirectFile(path, (record) => texts.push(record.toString()))
  return texts
}
