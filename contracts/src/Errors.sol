// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// Epochs
error BadNetworkId();
error BadParameters(uint32 n, uint32 k, uint32 t);
error NoticeTooShort(uint64 noticeS);
error PreviousNotStarted(uint64 epoch);
error UnknownEpoch(uint64 epoch);
error EpochHasStarted(uint64 epoch);
error EpochIsAborted(uint64 epoch);
error EpochNotFull(uint64 epoch, uint32 registered, uint32 n);
error EpochIsFull(uint64 epoch);
error CannotAbort(uint64 epoch);
error AlreadyAllowed(address operator);
error TooManyOperators();
error NotAllowed(address operator);
error AlreadyRegistered(address operator);
error NotRegistered(address operator);
error KeyInUse(bytes32 key);
error KeyChanged();
error BadKey();
error BadAddress(string field);
error BadIdentitySignature();

// Verifiers
error BadVerifierName(string name);
error BadVerifierField(string field);
error VerifierNameTaken(string name);
error UnknownVerifier(string name);
error VerifierRemoved(string name);
error NotVerifierOwner(address caller);
error AudienceTaken(string issuer, string audience);
error AudienceModeFixed(string issuer, string audience);
error ChangePending(string name);
error NoChangePending(string name);
error DelayTooShort(uint64 delayS);
