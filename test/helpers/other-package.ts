// Folders as other packages left them (test/fixtures/other-packages), made again with their times and links.
import { readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { createFolder } from './folder.ts'

const fixtures = join(import.meta.dirname, '../fixtures/other-packages')

interface LeftEntry {
  readonly mtimeMs?: number
  readonly text?: string
  readonly base64?: string
  readonly link?: string
}

export interface LeftFolder {
  readonly folder: string
  /** The path that is to be logged to. */
  readonly log: string
  /** The numbers of all records that are in it, in the order in which they were logged. */
  readonly numbers: readonly string[]
  readonly names: readonly string[]
}

/** What the package left in the case `name`, in a new folder. */
export function leftBy(name: string): LeftFolder {
  const folder = createFolder()
  const entries: Record<string, LeftEntry> = JSON.parse(readFileSync(join(fixtures, `${name}.json`), 'utf8'))
  const numbers: string[] = []
  for (const [file, { mtimeMs = 0, text, base64, link }] of Object.entries(entries)) {
    const path = join(folder, file)
    if (link !== undefined) {
      symlinkSync(link, path)
      continue
    }
    const bytes = base64 === undefined ? Buffer.from(text ?? '') : Buffer.from(base64, 'base64')
    writeFileSync(path, bytes)
    utimesSync(path, mtimeMs / 1000, mtimeMs / 1000)
    const plain = (base64 === undefined ? bytes : gunzipSync(bytes)).toString()
    for (const line of plain.split('\n')) if (/^\d{4}( x+)?$/.test(line)) numbers.push(line.slice(0, 4))
  }
  return { folder, log: join(folder, 'app.log'), numbers: numbers.toSorted(), names: Object.keys(entries) }
}
