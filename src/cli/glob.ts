// Expands patterns with `*`, `?` and `[…]` that the shell did not expand.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** The existing paths that match, sorted. Like in a shell, hidden names need an explicit dot. */
export async function expandGlob(pattern: string): Promise<string[]> {
  let found = [pattern.startsWith('/') ? '/' : '']
  for (const part of pattern.split('/').filter((each) => each !== '')) {
    const next: string[] = []
    for (const folder of found) {
      if (!isPattern(part)) next.push(join(folder, part))
      else for (const name of await matches(folder, part)) next.push(join(folder, name))
    }
    found = next
  }
  return found
}

export function isPattern(text: string): boolean {
  return /[*?[]/.test(text)
}

async function matches(folder: string, part: string): Promise<string[]> {
  const regExp = new RegExp(`^${part.replaceAll(/\[[^\]]+\]|[\s\S]/g, translate)}$`, 's')
  const names = await readdir(folder === '' ? '.' : folder).catch(() => [])
  return names.filter((name) => regExp.test(name) && (!name.startsWith('.') || part.startsWith('.'))).sort()
}

function translate(token: string): string {
  if (token === '*') return '.*'
  if (token === '?') return '.'
  if (token.length > 1)
    return `[${token
      .slice(1, -1)
      .replace(/^!/, '^')
      .replaceAll(/[\\\]]/g, '\\$&')}]`
  return token.replace(/[\\^$.|+(){}[\]]/g, '\\$&')
}
