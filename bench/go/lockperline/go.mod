module logboom.bench/lockperline

go 1.23
