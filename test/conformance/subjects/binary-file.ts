// Binary files in the conformance suite: through the registry, where each line is one payload.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isRegular, record, type Subject } from '../subject.ts'

export const binaryFile: Subject = {
  kind: 'binary-file',
  options: (folder) => ({ path: join(folder, 'app.bin'), maxBytes: 2_000 }),
  read: (folder) => readPayloads(join(folder, 'app.bin')),
  line: record,
  stagingBytes: 0,
  entries: {},
  livePath: (folder) => join(folder, 'app.bin'),
  lockPath: (folder) => join(folder, '.app.bin.lock')
}

/** The payloads of a binary file and its numbered backups, decoded here; throws if one is cut short. */
export function readPayloads(path: string): string[] {
  if (!existsSync(dirname(path))) return []
  const [stem, extension] = basename(path).split('.')
  const number = (name: string): number => {
    const found = new RegExp(`^${stem}\\.(\\d+)\\.${extension}$`).exec(name)
    return found === null ? -1 : Number(found[1])
  }
  const names = readdirSync(dirname(path)).filter((name) => isRegular(join(dirname(path), name)))
  const backups = names.filter((name) => number(name) >= 0).sort((a, b) => number(a) - number(b))
  const files = names.includes(basename(path)) ? [...backups, basename(path)] : backups
  return files.flatMap((name) => payloadsOf(readFileSync(join(dirname(path), name)), name))
}

function payloadsOf(bytes: Buffer, name: string): string[] {
  const payloads: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) throw new Error(`${name} ends within a payload`)
    payloads.push(bytes.toString('utf8', at + 4, end))
    at = end
  }
  return payloads
}
