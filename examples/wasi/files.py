"""What a guest's CPython does with files, for test_programs.py: prints what came of it, and ends with exit code 9."""
import hashlib
import json
import os
import sys
import time

with open('/data.json', 'w', encoding='utf-8') as file:
    json.dump({'a': [1, 2.5, None, 'é'], 'n': list(range(50))}, file)
with open('/data.json', encoding='utf-8') as file:
    print(json.load(file)['a'])

os.mkdir('/dir')
os.mkdir('/dir/sub')
with open('/dir/x', 'wb') as file:
    file.write(bytes(range(256)) * 1000)
with open('/dir/x', 'rb') as file:
    print(os.path.getsize('/dir/x'), hashlib.sha256(file.read()).hexdigest()[:16])
os.rename('/dir/x', '/dir/sub/y')
print(sorted(os.listdir('/dir')), sorted(os.listdir('/dir/sub')))
os.symlink('sub/y', '/dir/l')
print(os.readlink('/dir/l'), os.path.getsize('/dir/l'), os.path.islink('/dir/l'))
with open('/dir/sub/y', 'r+b') as file:
    file.seek(-4, os.SEEK_END)
    print(file.read())
    file.seek(0)
    file.write(b'zz')
    file.truncate(10)
with open('/dir/l', 'rb') as file:
    print(file.read())
for line in ('1\n', '2\n'):
    with open('/log', 'a', encoding='utf-8') as file:
        file.write(line)
with open('/log', encoding='utf-8') as file:
    print(file.read().split())

for path in ('../x', '/../etc/passwd', '/dir/../../x', '/no'):
    try:
        with open(path, encoding='utf-8'):
            print('opened', path)
    except OSError as error:
        print(path, type(error).__name__)
for root, folders, files in os.walk('/dir'):
    print(root, sorted(folders), sorted(files))

began = time.time()
time.sleep(0.05)
print(time.time() - began >= 0.05, len(os.urandom(16)), sys.argv[1:])
sys.exit(9)
