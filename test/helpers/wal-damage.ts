// Makes and damages logs on disk, for tests of what opening, verifying and repairing say of them.
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { WriteAheadLogOptions } from '../../src/core/wal/options.ts'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'

/** Paths of the segments, the oldest first. */
export function segmentsOf(walDir: string): string[] {
  return readdirSync(walDir)
    .filter((name) => name.endsWith('.wal'))
    .sort()
    .map((name) => join(walDir, name))
}

/** Paths of the copies that repairs have kept. */
export function copiesOf(walDir: string): string[] {
  return readdirSync(walDir)
    .filter((name) => name.includes('.broken'))
    .sort()
    .map((name) => join(walDir, name))
}

/** A closed log with one batch for each text. */
export async function writeLog(options: WriteAheadLogOptions, texts: readonly string[]): Promise<void> {
  const log = await WriteAheadLog.open(options)
  for (const text of texts) await log.log([text])
  await log.close()
}

export interface Frame {
  readonly offset: number
  readonly end: number
  readonly type: number
}

/** The frames of a segment up to its first zero frame. */
export function framesOf(path: string): Frame[] {
  const content = readFileSync(path)
  const frames: Frame[] = []
  for (let offset = 0; offset + 8 <= content.length; ) {
    const length = content.readUInt32LE(offset)
    if (length === 0) break
    const end = offset + 8 + length + (-length & 7)
    frames.push({ offset, end, type: content[offset + 9] })
    offset = end
  }
  return frames
}

/** Where each batch ends: behind its state record. */
export function batchEnds(path: string): number[] {
  return framesOf(path)
    .filter(({ type }) => type === 3)
    .map(({ end }) => end)
}

export function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, offset)
  closeSync(fd)
}

export function insert(path: string, offset: number, bytes: Uint8Array): void {
  const content = readFileSync(path)
  writeFileSync(path, Buffer.concat([content.subarray(0, offset), bytes, content.subarray(offset)]))
}

/** A copy of all files of a folder, to damage it again and again. */
export function copyFiles(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from)) writeFileSync(join(to, name), readFileSync(join(from, name)))
}
