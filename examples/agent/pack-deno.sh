#!/bin/sh
# Makes one executable file of a bundle and of the deno that is installed, where `deno compile` can't have its denort:
#   sh pack-deno.sh BUNDLE FILE
# It unpacks itself once, beside what else the user has cached.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$(deno eval 'console.log(Deno.execPath())')" "$work/deno"
cp "$1" "$work/bundle.mjs"
tar -czf "$work/packed" -C "$work" deno bundle.mjs
sum=$(cksum <"$work/packed" | tr ' ' -)
cat >"$2" <<END
#!/bin/sh
set -eu
there=\${XDG_CACHE_HOME:-\$HOME/.cache}/ticktape-agent-$sum
if [ ! -d "\$there" ]; then
  mkdir -p "\${there%/*}"
  new=\$(mktemp -d "\$there.XXXXXX")
  tail -n +11 "\$0" | tar -xz -C "\$new"
  mv "\$new" "\$there"
fi
exec "\$there/deno" run -A --no-lock "\$there/bundle.mjs" "\$@"
END
cat "$work/packed" >>"$2"
chmod +x "$2"
