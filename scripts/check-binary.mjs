// What a prebuilt binary must be: for its processor and system, asking for no newer C library than promised, and signed
// where the system loads nothing else. Reads the headers of ELF, Mach-O and PE files; nothing is run.

const MOST_COMMANDS = 1000
const ELF_MACHINE = { x64: 62, arm64: 183 }
const MACH_CPU = { x64: 0x0100_0007, arm64: 0x0100_000c }
const PE_MACHINE = { x64: 0x8664, arm64: 0xaa64 }
const GLIBC_MINOR = 17
const LC_CODE_SIGNATURE = 0x1d
const LC_BUILD_VERSION = 0x32
const LC_VERSION_MIN_MACOSX = 0x24
const OLDEST_MACOS = { x64: 0x000a_0f00, arm64: 0x000b_0000 }
const ENTRY = 'napi_register_module_v1'

/** Says in half sentences what is wrong with the binary of `target`, such as `linux-x64-musl`. */
export function checkBinary(target, bytes) {
  const [platform, arch, libc] = target.split('-')
  const checks = { linux: checkElf, darwin: checkMachO, win32: checkPe }
  const faults = checks[platform](bytes, arch, libc ?? 'glibc')
  if (!bytes.includes(ENTRY)) faults.push(`does not export ${ENTRY}`)
  return faults
}

function checkElf(bytes, arch, libc) {
  if (bytes.readUInt32BE(0) !== 0x7f45_4c46) return ['is no ELF file']
  if (bytes.readUInt16LE(18) !== ELF_MACHINE[arch]) return [`is not for ${arch}`]
  const text = bytes.toString('latin1')
  const faults = []
  const versions = new Set([...text.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor)))
  const newest = Math.max(...versions)
  if (newest > GLIBC_MINOR) faults.push(`needs glibc 2.${newest}, which is newer than 2.${GLIBC_MINOR}`)
  if (libc === 'musl' && versions.size > 0) faults.push('needs glibc')
  if (libc === 'glibc' && versions.size === 0) faults.push('needs no version of glibc')
  const needed = text.includes(libc === 'musl' ? '\0libc.so\0' : '\0libc.so.6\0')
  if (!needed) faults.push(`does not ask for the C library of ${libc}`)
  return faults
}

function checkMachO(bytes, arch) {
  if (bytes.readUInt32LE(0) !== 0xfeed_facf) return ['is no Mach-O file']
  if (bytes.readUInt32LE(4) !== MACH_CPU[arch]) return [`is not for ${arch}`]
  const faults = []
  let isSigned = false
  let oldest = 0
  const count = Math.min(bytes.readUInt32LE(16), MOST_COMMANDS)
  for (let at = 32, command = 0; command < count; command++) {
    const kind = bytes.readUInt32LE(at)
    if (kind === LC_CODE_SIGNATURE) isSigned = bytes.readUInt32LE(at + 12) > 0
    if (kind === LC_BUILD_VERSION) oldest = bytes.readUInt32LE(at + 12)
    if (kind === LC_VERSION_MIN_MACOSX) oldest = bytes.readUInt32LE(at + 8)
    at += bytes.readUInt32LE(at + 4)
  }
  // An arm64 Mac loads nothing that is not signed, be it by nobody in particular.
  if (arch === 'arm64' && !isSigned) faults.push('is not signed')
  if (oldest !== OLDEST_MACOS[arch])
    faults.push(`is for macOS from ${(oldest >> 16) & 0xffff}.${(oldest >> 8) & 255}`)
  return faults
}

function checkPe(bytes, arch) {
  if (bytes.readUInt16LE(0) !== 0x5a4d) return ['is no PE file']
  const header = bytes.readUInt32LE(0x3c)
  if (bytes.readUInt32LE(header) !== 0x4550) return ['is no PE file']
  if (bytes.readUInt16LE(header + 4) !== PE_MACHINE[arch]) return [`is not for ${arch}`]
  const text = bytes.toString('latin1')
  const libraries = new Set(
    [...text.matchAll(/[\w.-]+\.(?:dll|exe)(?=\0)/gi)].map(([name]) => name.toLowerCase())
  )
  const known = /^(node\.exe|kernel32\.dll|ntdll\.dll|api-ms-win-crt-[\w-]+\.dll|logboom\.node)$/
  const faults = [...libraries].filter((name) => !known.test(name)).map((name) => `asks for ${name}`)
  if (!libraries.has('node.exe')) faults.push('does not ask for node.exe')
  return faults
}
