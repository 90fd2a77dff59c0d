// Runs the contenders of one suite in alternating order (A B C A B C …), each in a fresh process and an empty folder,
// and verifies what each run left on disk. Alternation makes a busy minute of the machine hit everybody alike.
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { raceWriters } from './barrier.mjs'
import { emptyFiles } from './empty-files.mjs'
import { childCommand, runCommand } from './process.mjs'
import { verifyLines } from './verify.mjs'
import { warmPageCache } from './warm-page-cache.mjs'

/** A run that takes longer has hung, and is reported as failed. */
const RUN_LIMIT_MS = 180_000
const MANY_FILES = 500
let used = 0

/**
 * @returns {Promise<{results: Map<string, object[]>, skipped: {name: string, reason: string}[]}>} every run of every
 * contender in order, and who could not take part and why
 */
export async function runSuite(suite, { folder, rounds, quick, only }) {
  const skipped = []
  const results = new Map()
  for (const [name, contender] of Object.entries(suite.contenders)) {
    if (only !== undefined && !only.includes(name)) continue
    const reason = await contender.prepare?.()
    if (reason === undefined) results.set(name, [])
    else skipped.push({ name, reason })
  }
  for (let round = 1; round <= rounds; round++) {
    for (const [name, runs] of results) {
      progress(`${suite.name} ${round}/${rounds} ${name}`)
      runs.push(await runOnce(suite, name, emptyFolder(folder), quick))
    }
  }
  progress('')
  return { results, skipped }
}

async function runOnce(suite, name, folder, quick) {
  const contender = suite.contenders[name]
  const records = Math.round(suite.records * (contender.share ?? 1) * (quick ? 0.1 : 1))
  const context = { suite: suite.name, contender: name, folder, records }
  warmPageCache(`${folder}-warm`)
  try {
    const measured = await measure(suite, contender, context)
    if (contender.files !== false && suite.lines !== undefined) {
      measured.files = verifyLines(folder, { ...suite.lines, records: measured.records })
    }
    return measured
  } catch (error) {
    return { failed: error.message }
  } finally {
    clear(folder)
  }
}

/** Of a name that no other run has: by name ext4 chooses the part of the disk for it. */
function emptyFolder(base) {
  const folder = join(base, `run-${process.pid}-${used++}`)
  mkdirSync(folder)
  return folder
}

/**
 * Thousands of files are emptied, and deleted at the end of the bench: for minutes ext4 passes over every inode that was
 * freed, one by one, which would make the next run's files slow to create.
 */
function clear(folder) {
  if (readdirSync(folder).length > MANY_FILES) emptyFiles(folder)
  else rmSync(folder, { recursive: true })
}

function measure(suite, contender, context) {
  if (suite.writers !== undefined) return raceWriters(suite, contender, context, RUN_LIMIT_MS)
  const command = contender.command?.(context) ?? childCommand(context)
  return runCommand(command, RUN_LIMIT_MS)
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}
