// Reads the entries of a log straight from its files, past the code that wrote them.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { listSegments } from '../../src/formats/wal.ts'
import { WalReplay } from '../../src/formats/wal-replay.ts'
import { decodeMemory } from './wal-memory.ts'

export interface LogContent {
  entries: { index: bigint; text: string }[]
  replay: WalReplay
}

/** All entries; throws if anything is damaged. Those behind the last commit mark are left out, as recovery does. */
export function readLog(walDir: string): LogContent {
  const replay = new WalReplay()
  const entries: LogContent['entries'] = []
  const segments = listSegments(readdirSync(walDir))
  for (const [i, segment] of segments.entries()) {
    const last = i === segments.length - 1
    const file = readFileSync(join(walDir, segment.name))
    decodeMemory(
      replay,
      file,
      ({ decoder, entry }) => {
        if (decoder.type === 2) entries.push({ index: entry.index, text: Buffer.from(entry.data).toString() })
      },
      { segment, last }
    )
    if (replay.damage !== undefined) throw new Error(`${segment.name}: ${JSON.stringify(replay.damage)}`)
  }
  return { entries: entries.filter(({ index }) => index <= replay.commit), replay }
}
