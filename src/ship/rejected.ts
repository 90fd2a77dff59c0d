// Records that a target will never take: kept in a file with the reason, one JSON object a line, and passed over.
import { isUtf8 } from 'node:buffer'
import { constants } from 'node:fs'
import type { Disk } from '../io/disk.ts'
import { openFile } from '../io/open-file.ts'
import type { Refusal } from './target.ts'

/** On disk when it returns. After a crash a record may be there twice, with the same number. */
export function keepRejected(disk: Disk, path: string, stream: string, refusals: readonly Refusal[]): void {
  const lines = refusals.map(({ record, reason }) => {
    const { data, number } = record
    const content = isUtf8(data) ? { data: data.toString() } : { base64: data.toString('base64') }
    return `${JSON.stringify({ id: `${stream}-${number}`, reason, ...content })}\n`
  })
  const file = openFile(disk, path, constants.O_WRONLY | constants.O_APPEND, {
    mode: 0o600,
    dirMode: 0o700,
    mkdir: true
  })
  try {
    const bytes = Buffer.from(lines.join(''))
    for (let at = 0; at < bytes.length; ) at += disk.write(file.fd, bytes, at, bytes.length - at, null)
    disk.fdatasync(file.fd)
  } finally {
    file.release()
  }
}
