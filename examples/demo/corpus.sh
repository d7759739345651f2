#!/usr/bin/env bash
# Brings the demo's text: corpus.sh FOLDER puts its pages there as *.html (12 MB, 139 files).
#
# The text is "An Anarchist FAQ", English prose of many authors, from Debian's package `anarchism`. The package is
# unpacked, not installed, so nothing on the machine changes but FOLDER. The pages are kept as they are: Weft strips
# their markup when it reads them (runtime/data/html_text.h). Any other text serves as well: put *.txt or *.html files
# into a folder and name them under [data] train in the recipe.
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "usage: $0 FOLDER" >&2
  exit 2
fi
folder=$1
package=anarchism

if compgen -G "$folder/*.html" >/dev/null; then
  echo "$folder has its pages already"
  exit 0
fi
for tool in apt-get dpkg; do
  if ! command -v "$tool" >/dev/null; then
    echo "error: $tool is missing: the demo's text comes from a Debian package; put *.html or *.txt files into $folder instead" >&2
    exit 1
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pages=/usr/share/doc/$package/html
if ! compgen -G "$pages/*.html" >/dev/null; then # not installed, or its documents were left out as slim images do
  download() { (cd "$work" && apt-get -o APT::Sandbox::User="$(id -un)" -qq download "$package"); }
  if ! download 2>"$work/log"; then
    # A fresh machine has no package lists yet.
    sudo=""
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
    echo "fetching the package lists"
    $sudo apt-get -qq update
    if ! download 2>"$work/log"; then
      cat "$work/log" >&2
      echo "error: cannot download the package $package; is there a network? Or put *.html or *.txt files into $folder" >&2
      exit 1
    fi
  fi
  dpkg -x "$work"/"$package"_*.deb "$work/unpacked"
  pages=$work/unpacked$pages
fi
if ! compgen -G "$pages/*.html" >/dev/null; then
  echo "error: the package $package holds no pages where they were: usr/share/doc/$package/html" >&2
  exit 1
fi

# Whole or not at all: the pages appear in FOLDER together.
mkdir -p "$(dirname "$folder")"
ready=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work" "$ready"' EXIT
for page in "$pages"/*.html; do
  case $(basename "$page") in
  index.html | links.html | alinks.html | arlinks.html) ;; # lists of links
  *) cp "$page" "$ready/" ;;
  esac
done
chmod 755 "$ready"
if [ -d "$folder" ]; then
  mv "$ready"/*.html "$folder/"
else
  mv "$ready" "$folder"
fi
echo "$folder: $(find "$folder" -name '*.html' | wc -l) pages, $(cat "$folder"/*.html | wc -c) bytes"
