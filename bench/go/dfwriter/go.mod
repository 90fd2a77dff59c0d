module logboom.bench/dfwriter

go 1.23
