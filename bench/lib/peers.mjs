// Makes bench/node_modules what the suites need: the peers of the lock file, and logboom from this very checkout.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'

const bench = dirname(import.meta.dirname)
const modules = join(bench, 'node_modules')

export function installPeers() {
  if (!existsSync(modules)) {
    console.error('bench: installing the peers (npm ci in bench/)')
    const install = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: bench, stdio: 'inherit' })
    if (install.status !== 0) process.exit(1)
  }
  const link = join(modules, 'logboom')
  if (!existsSync(link)) symlinkSync(dirname(bench), link, 'junction')
}

/** Version of an installed package, as the results state it. */
export function versionOf(name) {
  const manifest = join(modules, name, 'package.json')
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).version : undefined
}
