// Decodes a WAL segment that is in memory, handing out its bytes in steps as small as wanted.
import type { SegmentName } from '../../src/formats/wal.ts'
import type { WalStep } from '../../src/formats/wal-decoder.ts'
import type { WalReplay } from '../../src/formats/wal-replay.ts'

export interface DecodeOptions {
  stepBytes?: number
  segment?: SegmentName
  last?: boolean
  /** Go over what needs no look of its own many records at a time, and hear of the others only. */
  follows?: boolean
}

/** Returns the step that ended the segment: `end`, `torn` or `corrupt`. */
export function decodeMemory(
  replay: WalReplay,
  file: Buffer,
  onRecord: (replay: WalReplay) => void,
  options: DecodeOptions = {}
): WalStep {
  const { stepBytes = Number.POSITIVE_INFINITY, last = true } = options
  const segment = options.segment ?? { name: 'segment', sequence: 0n, index: 0n }
  if (!replay.begin(segment, file.length, last)) return 'corrupt'
  const decoder = replay.decoder
  for (;;) {
    if (options.follows === true) replay.follow()
    const step = replay.next()
    if (step === 'record') onRecord(replay)
    else if (step === 'more') {
      decoder.makeRoom()
      const bytes = Math.min(stepBytes, decoder.fillBytes)
      if (bytes <= 0) throw new Error('the decoder asks for nothing')
      file.copy(decoder.window, decoder.fillOffset, decoder.fillPosition, decoder.fillPosition + bytes)
      decoder.filled(bytes)
    } else return step
  }
}
