// Another user puts links, folders and files at the names of a log in a sticky folder, at any moment: what its links point
// to is not touched, nothing is written into its files, and nothing is lost once it leaves.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import { works } from '../../helpers/mount.ts'
import { isLong, sized } from '../../helpers/sized.ts'
import { faultsIn, readStorm, type StormKind, StormWriter, stormKinds } from '../../helpers/storm.ts'
import { until } from '../../helpers/until.ts'

const NOBODY = 65_534
const OWNER = 65_533
const lives = sized(10, 1)
const ATTACK_MS = sized(4_000, 700)
const END_MS = 30_000
const chosen = stormKinds.filter(
  ({ kind }) => kind === 'rotating-file' || (isLong && /^(binary|direct)-file$/.test(kind))
)
const script = fileURLToPath(new URL('../../helpers/neighbour.mjs', import.meta.url))
const canBeOthers = process.getuid?.() === 0 && works('setpriv', '--version')
const as = (user: number): string[] => ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups']

/** What a neighbour can guess: the log, its lock, and backups of this minute. */
function namesIn(folder: string): string[] {
  const minute = new Date().toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 13)
  const seconds = Array.from({ length: 60 }, (_, second) => `${minute}${String(second).padStart(2, '0')}`)
  const backups = seconds.flatMap((time) => [`app.log.${time}.0`, `app.log.${time}.1`])
  const numbered = Array.from({ length: 20 }, (_, number) => `app.${number}.log`)
  // The log itself is the one that is worth most.
  const often = Array.from({ length: 40 }, () => ['app.log', '.app.log.lock']).flat()
  return [...often, ...backups, ...numbered].map((name) => join(folder, name))
}

test.skipIf(!canBeOthers).each(chosen.map((kind) => ({ ...kind, kind })))(
  `${lives} attacks of another user on the names of $name cost nothing (needs root to be others)`,
  { timeout: 60_000 + lives * (ATTACK_MS + END_MS) },
  async ({ kind }) => {
    for (let life = 0; life < lives; life++) await attack(kind)
  }
)

async function attack(kind: StormKind): Promise<void> {
  const root = createFolder()
  chmodSync(root, 0o755)
  const [folder, notes, safe] = ['shared', 'notes', 'safe'].map((name) => join(root, name))
  mkdirSync(folder)
  chmodSync(folder, 0o1777)
  for (const own of [notes, safe]) {
    mkdirSync(own)
    chownSync(own, OWNER, OWNER)
  }
  const target = join(safe, 'precious')
  writeFileSync(target, 'precious')
  chownSync(target, OWNER, OWNER)
  // Small files, so that the name of the log is free again and again.
  const more = kind.kind === 'direct-file' ? {} : { maxBytes: 5_000 }
  const writer = new StormWriter(kind, folder, notes, 'w', { wrapper: as(OWNER), more, paceMs: 3 })
  await writer.until(1)
  const [command, ...args] = [...as(NOBODY), process.execPath, script]
  const neighbour = spawn(command, [...args, JSON.stringify({ names: namesIn(folder), target })], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  onTestFinished(() => void neighbour.kill('SIGKILL'))
  let told = ''
  neighbour.stdout.on('data', (data) => {
    told += data
  })
  await until(() => told.startsWith('ready'), { timeoutMs: END_MS, what: 'the neighbour has come' })
  await delay(ATTACK_MS)
  neighbour.kill('SIGTERM')
  await once(neighbour, 'close')
  expect(Number(told.split('\n')[1])).toBeGreaterThan(0)
  const before = writer.acknowledged
  await until(() => !writer.isRunning || writer.acknowledged > before, {
    timeoutMs: END_MS,
    what: 'it goes on when the neighbour has left'
  })
  expect(writer.isRunning, writer.stderr).toBe(true)
  await writer.kill()
  expect(readFileSync(target, 'utf8')).toBe('precious')
  const owners = readdirSync(folder).map((name) => statSync(join(folder, name)).uid)
  expect(new Set(owners)).toEqual(new Set([OWNER]))
  const found = await readStorm(kind, folder)
  expect(faultsIn(kind, found, new Map([['w', writer.acknowledged]]))).toEqual([])
  tally('lives')
  tally('records', found.records)
}
